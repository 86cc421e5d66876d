/* SPDX-License-Identifier: MIT */
#include "serve/report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/child.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "ring/crash.h"
#include "build/build.h"
#include "serve/event.h"
#include "serve/finding.h"

#define TIME_LIMIT_MS 2000
#define MEMORY_LIMIT CHILD_OWN_MEMORY(UINT64_C(2) << 30)
#define OUTPUT_LIMIT 65536
#define MAX_UNDER_WAY 16 /* more at once tell nothing new */
#define MAX_FRAMES 40
#define WORKER "/devserve-worker"
#define LOADER "/ld-linux"
#define IMAGES "/generations/"

struct report {
	LIST_ENTRY(report) entry;
	struct reports *reports;
	struct child *child;
	struct buffer text;
	char *deployment, *how, *what, *call;
	uint32_t generation;
	int pid, signal;
	bool late;
	struct finding *finding; /* of a sanitizer: then it is no crash; or NULL */
	char *report;            /* its text */
};

struct reports {
	uv_loop_t *loop;
	struct events *events;
	char *helper;
	unsigned n;
	void (*on_idle)(void *context);
	void *context;
	LIST_HEAD(, report) list;
};

struct reports *reports_new(uv_loop_t *loop, struct events *events, void (*on_idle)(void *context), void *context)
{
	struct reports *r = xcalloc(1, sizeof(*r));

	r->loop = loop;
	r->events = events;
	r->helper = path_of_helper("devserve-debug");
	r->on_idle = on_idle;
	r->context = context;
	LIST_INIT(&r->list);
	return r;
}

bool reports_busy(const struct reports *r)
{
	return r->n > 0;
}

bool reports_are_due(const struct reports *rs, const char *deployment)
{
	const struct report *r;

	LIST_FOREACH(r, &rs->list, entry)
		if (strcmp(r->deployment, deployment) == 0)
			return true;
	return false;
}

static void report_free(struct report *r)
{
	LIST_REMOVE(r, entry);
	r->reports->n--;
	buffer_fini(&r->text);
	free(r->deployment);
	free(r->how);
	free(r->what);
	free(r->call);
	free(r->report);
	finding_free(r->finding);
	free(r);
}

struct reports *reports_free(struct reports *rs)
{
	struct report *r;

	if (!rs)
		return NULL;
	while ((r = LIST_FIRST(&rs->list))) {
		r->child = child_abandon(r->child);
		report_free(r);
	}
	free(rs->helper);
	free(rs);
	return NULL;
}

/* The next field of *@at, which ends with @end; cut out in place. */
static char *field(char **at, char end)
{
	char *start = *at, *stop = start ? strchr(start, end) : NULL;

	*at = stop ? stop + 1 : NULL;
	if (stop)
		*stop = '\0';
	return start;
}

/* Lines of debug/backtrace.h, up to the end of a stack. They point into *@text. */
static size_t read_frames(char **text, struct event_frame *frames)
{
	size_t n = 0;

	while (*text) {
		char *line = field(text, '\n'), *rest = line;
		struct event_frame *f = &frames[n];
		char *number, *changed;

		if (!*line)
			break;
		if (n == MAX_FRAMES)
			continue;
		f->function = field(&rest, '\t');
		f->file = field(&rest, '\t');
		number = field(&rest, '\t');
		changed = field(&rest, '\t');
		if (!number || !rest)
			break;
		f->line = (unsigned)strtoul(number, NULL, 10);
		f->changed = *changed;
		f->text = rest;
		n++;
	}
	return n;
}

/* Where infer() begins is not where it wrote. */
static void hide_line(struct event_frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		frames[i].text = "";
		frames[i].changed = false;
	}
}

static void tell_crash(struct report *r, char *text)
{
	struct event_frame frames[MAX_FRAMES];
	char *name = r->signal ? xasprintf("SIG%s", sigabbrev_np(r->signal) ? sigabbrev_np(r->signal) : "?") : NULL;
	struct event e = {
		.kind = EVENT_CRASH_REPORT,
		.deployment = r->deployment,
		.generation = r->generation,
		.pid = r->pid,
		.reason = r->how,
		.signal = name,
		.what = r->what[0] ? r->what : NULL,
		.call = r->call,
		.found_late = r->late,
		.frames = frames,
	};

	e.n_frames = read_frames(&text, frames);
	if (r->late)
		hide_line(frames, e.n_frames);
	events_emit(r->reports->events, &e);
	free(name);
}

/* The first frame that its author wrote, if there is one. */
static const struct event_frame *own_frame(const struct event_frame *frames, size_t n)
{
	const struct event_frame *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!frames[i].file[0])
			continue;
		if (strncmp(frames[i].file, "/usr/", 5) != 0)
			return &frames[i];
		first = first ? first : &frames[i];
	}
	return first;
}

static struct diagnostic diagnostic(const struct event_frame *f, const char *severity, const char *message)
{
	return (struct diagnostic){ .file = f ? (char *)f->file : NULL, .line = f ? f->line : 0,
				    .severity = (char *)severity, .message = (char *)message };
}

static struct diagnostic at_place(const struct finding_place *p, const struct diagnostic *d)
{
	struct diagnostic ret = *d;

	if (p->file)
		ret.file = p->file;
	if (p->file || (p->line && ret.file)) {
		ret.line = p->line;
		ret.column = p->column;
	}
	return ret;
}

/* As a compiler would: an error where it happened, notes where that comes from. */
static void tell_finding(struct report *r, char *text)
{
	const struct finding *f = r->finding;
	struct event_frame frames[MAX_FRAMES], others[MAX_FRAMES];
	struct diagnostic all[FINDING_STACKS + 1];
	struct event e = {
		.kind = EVENT_SANITIZER_REPORT,
		.deployment = r->deployment,
		.generation = r->generation,
		.pid = r->pid,
		.reason = r->how,
		.what = f->what,
		.call = r->call,
		.text = r->report,
		.frames = frames,
		.n_frames = read_frames(&text, frames),
		.diagnostics = all,
	};
	_cleanup_free_ char *declared = xasprintf("'%s' is declared here", f->variable_name ? f->variable_name : "");
	struct diagnostic first = diagnostic(own_frame(frames, e.n_frames), "error", f->what);

	if (f->function) /* of a GPU there is no stack to make lines of */
		frames[e.n_frames++] = (struct event_frame){ .function = f->function, .file = f->place.file, .text = "",
							     .line = f->place.line };
	all[e.n_diagnostics++] = at_place(&f->place, &first);
	for (size_t i = 1; i < f->n_stacks; i++) {
		size_t n = read_frames(&text, others);

		all[e.n_diagnostics++] = diagnostic(own_frame(others, n), "note", f->roles[i]);
	}
	first = diagnostic(own_frame(frames, e.n_frames), "note", declared);
	if (f->variable_name)
		all[e.n_diagnostics++] = at_place(&f->variable, &first);
	events_emit(r->reports->events, &e);
}

static void tell(struct report *r)
{
	if (r->finding)
		tell_finding(r, r->text.data);
	else
		tell_crash(r, r->text.data);
}

static void on_text(void *context, int fd, const char *text, size_t size)
{
	struct report *r = context;

	if (fd == 1 && r->text.size + size < OUTPUT_LIMIT)
		buffer_append(&r->text, text, size);
}

static void on_end(void *context, const struct child_end *end)
{
	struct report *r = context;
	struct reports *rs = r->reports;

	(void)end;
	r->child = NULL;
	tell(r);
	report_free(r);
	if (!rs->n)
		rs->on_idle(rs->context);
}

static bool is_of(const struct crash *c, unsigned frame, const char *text)
{
	uint64_t m = c->frames[frame].module;

	return m < c->n_modules && strstr(c->modules[m].path, text);
}

/* Frames of ours, or of what loads a plugin, below the plugin's say nothing to its author. */
static unsigned count_frames(const struct crash *c)
{
	bool seen = false;
	unsigned n = 0;

	for (; n < c->n_frames && !(seen && (is_of(c, n, WORKER) || is_of(c, n, LOADER))); n++)
		seen |= is_of(c, n, IMAGES);
	return n;
}

/* The path is the worker's word: what isn't a plain file could hold the loop up. */
static int open_image(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	close(fd);
	return -1;
}

/* argv of the helper, and descriptors of the images: the copies in generations/ go soon. */
static int start(struct report *r, const struct crash *c)
{
	struct child_options o = {
		.time_limit_ms = TIME_LIMIT_MS,
		.memory_limit = MEMORY_LIMIT,
		.on_text = on_text,
		.on_end = on_end,
		.context = r,
	};
	const char *argv[3 + CRASH_MODULES + CRASH_FRAMES];
	unsigned n_frames = r->finding ? c->n_frames : count_frames(c);
	int n = 0, e;

	argv[n++] = r->reports->helper;
	argv[n++] = "backtrace";
	for (unsigned i = 0; i < c->n_modules; i++) {
		const char *path = c->modules[i].path;
		int fd = strstr(path, IMAGES) && o.n_fds < 8 ? open_image(path) : -1;

		if (fd >= 0)
			o.fds[o.n_fds++] = fd;
		argv[n++] = fd < 0 ? xasprintf("%" PRIx64 "=%s", c->modules[i].base, path) :
				     xasprintf("%" PRIx64 "=/proc/self/fd/%d", c->modules[i].base, 2 + o.n_fds);
	}
	for (unsigned i = 0; i < n_frames; i++)
		argv[n++] = r->finding && !c->frames[i].pc ? xstrdup("-") : xasprintf("%" PRIx64, c->frames[i].pc);
	argv[n] = NULL;
	o.argv = argv;
	e = n_frames ? child_start(r->reports->loop, &o, &r->child) : -1;
	for (int i = 0; i < o.n_fds; i++)
		close(o.fds[i]);
	while (n > 2)
		free((char *)argv[--n]);
	return e;
}

void reports_add(struct reports *rs, const struct deploy_crash *c)
{
	struct report *r;

	if ((!c->crash && !c->report) || rs->n >= MAX_UNDER_WAY)
		return; /* worker.died said what there is */
	r = xcalloc(1, sizeof(*r));
	r->reports = rs;
	r->deployment = xstrdup(c->name);
	r->how = xstrdup(c->how);
	if (c->report) {
		r->report = xstrdup(c->report);
		r->finding = finding_read(c->report);
	} else {
		r->late = c->crash->code == CRASH_FOUND_LATE;
		r->what = xstrdup(c->crash->what);
		r->signal = c->crash->signal;
	}
	r->call = c->call ? xstrdup(c->call) : NULL;
	r->generation = c->generation;
	r->pid = (int)c->pid;
	LIST_INSERT_HEAD(&rs->list, r, entry);
	rs->n++;
	if (start(r, r->finding ? r->finding->crash : c->crash) < 0) {
		tell(r);
		report_free(r);
	}
}
