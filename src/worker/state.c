/* SPDX-License-Identifier: MIT */

/*
 * The live state is private memory: a call that crashes half-way through it leaves no half of
 * it to anybody, and a swap finds it where it is. At a fixed address, so that what a plugin
 * printed or a debugger showed of it before a swap is still true after it.
 *
 * Up to CHECKPOINT_EVERY_BATCH the copy is made before the call's answer. Above, once a period and
 * while no call waits, else when it is a whole period late. Above STATE_LARGE a forked child
 * copies what the fork froze: the worker then pays for page tables, and for each page that it
 * writes meanwhile, instead of for the bytes. The child has no exit signal and runs no atfork
 * handlers, so the plugin never hears of it.
 */

#include "worker/state.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <devserve/ext/state.h>

#include "base/clock.h"
#include "base/memory.h"
#include "state/checkpoint.h"
#include "worker/host.h"
#include "worker/image.h"
#include "worker/passage.h"
#include "worker/state_memory.h"

#define ADDRESS ((void *)0x7e8000000000)
#define PERIOD_MS 100
#define CHILD_POLL_NS (5 * NS_PER_MS)
#define RETRY_NS (10 * NS_PER_S)

struct state {
	struct state_memory live;
	bool serving; /* the image that serves works on it, */
	uint32_t generation;            /* which is of that one, */
	uint64_t image_low, image_high; /* and mapped there */
	bool is_private; /* a copy that nobody else is to see */
	char path[4096];
	struct checkpoint_writer *writer; /* NULL: no path, or no room */
	uint64_t retry_ns;                /* there was no room: try again then; 0: there was */
	uint64_t period_ns;
	bool changed;                     /* since the last checkpoint */
	uint64_t last_ns;                 /* when that was made */
	pid_t child;                      /* makes one; 0: none does */
};

struct state *state_new(void)
{
	struct state *s = xcalloc(1, sizeof(*s));

	state_set_period(s, 0);
	return s;
}

void state_set_period(struct state *s, unsigned ms)
{
	s->period_ns = (ms ? ms : PERIOD_MS) * NS_PER_MS;
}

static const struct devserve_state_extension *declared(const struct image *image)
{
	return (const struct devserve_state_extension *)image_extension(image, DEVSERVE_STATE_ID);
}

static void set_slot(const struct devserve_state_extension *e, void *at)
{
	memcpy(e->slot, &at, sizeof(at));
}

/* Trial */

int state_try(const struct image *image, const char *path, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	struct state_memory copy;
	int r;

	if (!e)
		return 0;
	r = passage_from_checkpoint(image, path, NULL, &copy, sentence, size);
	if (r == 0) {
		set_slot(e, copy.at);
		layout_unref(copy.layout);
	}
	return r;
}

int state_try_swap(const struct image *image, const struct link_load *load, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	_cleanup_buffer_ struct buffer clause = BUFFER_NULL;
	struct checkpoint c;
	struct state_memory copy;

	if (!e || !load->state[0] || checkpoint_open(load->state, &c, (char[1]){ 0 }, 1) != 0)
		return 0;
	copy = (struct state_memory){ .size = e->size, .layout = image->layout, .generation = c.generation,
				.image_low = c.image_low, .image_high = c.image_high };
	memcpy(&copy.at, e->slot, sizeof(copy.at));
	checkpoint_close(&c);
	if (!passage_left_address(&copy, c.generation == load->serving_generation ? load->serving : NULL, &clause))
		return 0;
	snprintf(sentence, size, "%s, which goes with the swap; keep an index or the data itself", clause.data);
	return EFAULT;
}

void state_try_end(const struct image *image)
{
	const struct devserve_state_extension *e = declared(image);
	struct state_memory copy = { .at = NULL };

	if (!e)
		return;
	memcpy(&copy.at, e->slot, sizeof(copy.at));
	copy.size = e->size;
	state_memory_free(&copy);
	set_slot(e, NULL);
}

/* Serving */

static void report(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void report(int level, const char *format, ...)
{
	const struct devserve_host *host = host_table();
	char line[900];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	host->log(host, level, "%s", line);
}

static void end_process(const char *sentence)
{
	report(DEVSERVE_ERROR, "%s", sentence);
	_exit(1);
}

/* What isn't ours is not written over. */
static void put_aside(const char *path, const char *fault)
{
	char aside[4096 + 16];

	snprintf(aside, sizeof(aside), "%s.ignored", path);
	if (rename(path, aside) < 0)
		snprintf(aside, sizeof(aside), "nowhere (%s)", strerror(errno));
	report(DEVSERVE_ERROR, "%s is ignored: %s; the state starts at zero. It is kept as %s", path,
	       fault, aside);
}

static void open_writer(struct state *s)
{
	bool again = s->retry_ns != 0;
	int r;

	if (!s->path[0] || s->writer || clock_ns() < s->retry_ns)
		return;
	r = checkpoint_writer_new(s->path, s->live.size, s->live.version, s->live.layout, &s->writer);
	s->retry_ns = r == 0 ? 0 : clock_ns() + RETRY_NS;
	if (r != 0 && !again)
		report(DEVSERVE_ERROR,
		       "no checkpoint of the state (%llu bytes, kept twice) can be made in %s: %s; it "
		       "lives in memory alone and goes with the worker. Free some space",
		       (unsigned long long)s->live.size, s->path, strerror(-r));
	if (r == 0 && again)
		report(DEVSERVE_INFO, "checkpoints of the state are made again");
}

static bool has_writer(struct state *s)
{
	open_writer(s);
	if (s->writer)
		checkpoint_is_of(s->writer, s->generation, s->image_low, s->image_high);
	return s->writer != NULL;
}

static void write_here(struct state *s)
{
	int r = checkpoint_write(s->writer, s->live.at);

	if (r == 0)
		return;
	s->changed = true;
	report(DEVSERVE_ERROR, "the checkpoint %s cannot be put in place: %s", s->path, strerror(-r));
	s->writer = checkpoint_writer_free(s->writer);
	s->retry_ns = clock_ns() + RETRY_NS;
}

/* Let the child's end be known. Returns 0 while it runs. */
static pid_t await_child(struct state *s, int flags)
{
	int status = 0;
	pid_t pid = s->child ? waitpid(s->child, &status, flags | __WALL) : -1;

	if (pid == 0)
		return 0;
	if (s->child && s->writer && pid == s->child && status == 0)
		checkpoint_was_written(s->writer);
	else if (s->child)
		s->changed = true; /* it was killed */
	s->child = 0;
	return pid;
}

/*
 * What is at the path stays beside it: a member that was renamed is gone from the state for good, and
 * who finds out too late has it there.
 */
static void keep_before(const struct state *s)
{
	char before[4096 + 16], new[4096 + 24];

	if (!s->path[0])
		return;
	snprintf(before, sizeof(before), "%s.before", s->path);
	snprintf(new, sizeof(new), "%s.new", before);
	unlink(new);
	if (link(s->path, new) == 0 && rename(new, before) == 0)
		unlink(new); /* rename() leaves it where both are the same already */
	else if (errno != ENOENT)
		report(DEVSERVE_WARNING, "the state as it was cannot be kept as %s: %s", before, strerror(errno));
}

/* The last checkpoint of what it is yet, unless that would keep calls waiting. */
static void finish_file(struct state *s)
{
	await_child(s, 0);
	if (s->changed && s->live.size <= STATE_LARGE && has_writer(s)) {
		s->changed = false;
		write_here(s);
	}
}

/* The server tells it of what it rolls out; here the checkpoint was of another generation than it knows. */
static void report_passage(const struct state_memory *m)
{
	if (m->how == STATE_COPIED)
		report(DEVSERVE_INFO, "the state's members were copied by name from the checkpoint of generation %u",
		       m->generation);
	else if (m->how == STATE_MIGRATED)
		report(DEVSERVE_INFO, "the state was made by migrate() from the checkpoint of generation %u", m->generation);
}

static void restore(struct state *s, const struct image *image, const char *path)
{
	_cleanup_buffer_ struct buffer clause = BUFFER_NULL;
	char sentence[512] = "";

	snprintf(s->path, sizeof(s->path), "%s", path);
	if (passage_from_checkpoint(image, path, ADDRESS, &s->live, sentence, sizeof(sentence)) != 0)
		end_process(sentence);
	if (s->is_private)
		s->path[0] = '\0';
	else if (sentence[0])
		put_aside(path, sentence);
	if (!s->is_private)
		report_passage(&s->live);
	if (s->live.how == STATE_COPIED || s->live.how == STATE_MIGRATED)
		keep_before(s);
	if (!s->is_private && passage_left_address(&s->live, NULL, &clause))
		report(DEVSERVE_WARNING, "%s, which went with the worker that wrote it; keep an index or the data itself",
		       clause.data);
}

/* The next checkpoint is of another struct, or tells other names. */
static void begin_another_file(struct state *s)
{
	await_child(s, 0);
	s->writer = checkpoint_writer_free(s->writer);
}

static void replace_live(struct state *s, const struct image *image, const struct passage *p)
{
	char sentence[512] = "no memory for another state";
	struct state_memory old;

	finish_file(s);
	old = s->live;
	if (state_memory_move(&old) != 0 || passage_go(p, image, &old, ADDRESS, &s->live, sentence, sizeof(sentence)) != 0)
		end_process(sentence);
	keep_before(s);
	begin_another_file(s);
	state_memory_free(&old);
}

static void keep_live(struct state *s, struct layout *layout)
{
	if (!layout || layout_same_text(layout, s->live.layout))
		return;
	layout_unref(s->live.layout);
	s->live.layout = layout_ref(layout);
	begin_another_file(s);
}

static void pass_live(struct state *s, const struct image *image)
{
	_cleanup_passage_ struct passage p;

	passage_find(&s->live, image, s->path, &p);
	if (p.how == STATE_SAME)
		keep_live(s, image->layout);
	else
		replace_live(s, image, &p);
}

void state_keep_private(struct state *s)
{
	s->is_private = true;
}

void state_enter(struct state *s, const struct image *image, const char *path)
{
	const struct devserve_state_extension *e = declared(image);

	s->serving = e != NULL;
	if (!e)
		return; /* what is there waits for an image that wants it */
	if (s->live.at)
		pass_live(s, image);
	else
		restore(s, image, path);
	s->generation = image->generation;
	s->image_low = image->base;
	s->image_high = image->end;
	open_writer(s);
	set_slot(e, s->live.at);
}

/* Checkpoints */

/*
 * Away from the CPU on which the worker is about to answer, and behind everybody: the one that
 * forked would otherwise wait until the scheduler's next tick.
 */
static void make_way(void)
{
	int here = sched_getcpu();
	cpu_set_t cpus;

	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ .sched_priority = 0 });
	memset(&cpus, 0xff, sizeof(cpus));
	CPU_CLR((unsigned)here, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	CPU_SET((unsigned)here, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void copy_and_exit(struct state *s, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	make_way();
	_exit(checkpoint_write(s->writer, s->live.at) == 0 ? 0 : 1);
}

static bool start_child(struct state *s)
{
	pid_t self = getpid(), pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);

	if (pid == 0)
		copy_and_exit(s, self);
	s->child = pid > 0 ? pid : 0;
	return pid > 0;
}

static void write_checkpoint(struct state *s)
{
	s->last_ns = clock_ns();
	if (!has_writer(s))
		return;
	s->changed = false;
	if (s->live.size <= STATE_LARGE || !start_child(s))
		write_here(s);
}

static bool by_period(const struct state *s)
{
	return s->live.size > CHECKPOINT_EVERY_BATCH;
}

void state_checkpoint(struct state *s, bool idle)
{
	if (!s->serving || !s->path[0])
		return;
	s->changed = true;
	if (!by_period(s))
		write_checkpoint(s);
	else if (!idle && clock_ns() - s->last_ns > 2 * s->period_ns && await_child(s, WNOHANG) != 0)
		write_checkpoint(s);
}

uint64_t state_due_ns(const struct state *s)
{
	uint64_t now, due;

	if (s->child)
		return CHILD_POLL_NS;
	if (!s->changed || !by_period(s))
		return 0;
	now = clock_ns();
	due = s->last_ns + s->period_ns;
	due = due < s->retry_ns ? s->retry_ns : due;
	return due > now ? due - now : 1;
}

void state_catch_up(struct state *s)
{
	if (s->child && await_child(s, WNOHANG) == 0)
		return;
	if (s->changed && by_period(s) && clock_ns() - s->last_ns >= s->period_ns)
		write_checkpoint(s);
}

void state_leave(struct state *s)
{
	await_child(s, 0);
	if (s->changed && has_writer(s))
		write_here(s);
	s->changed = false;
	s->writer = checkpoint_writer_free(s->writer);
}
