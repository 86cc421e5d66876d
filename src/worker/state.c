/* SPDX-License-Identifier: MIT */

/*
 * The live state is private memory: a call that crashes half-way through it leaves no half of
 * it to anybody, and a swap finds it where it is. At a fixed address, so that what a plugin
 * printed or a debugger showed of it before a swap is still true after it.
 *
 * Up to EVERY_BATCH the copy is made before the call's answer. Above, once a period and
 * while no call waits, else when it is a whole period late. Above BY_CHILD a forked child
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <devserve/ext/state.h>

#include "base/clock.h"
#include "base/memory.h"
#include "state/address.h"
#include "state/checkpoint.h"
#include "state/fit.h"
#include "worker/host.h"
#include "worker/image.h"
#include "worker/migration.h"
#include "worker/sanitizer.h"

#define ADDRESS ((void *)0x7e8000000000)
#define EVERY_BATCH (UINT64_C(64) << 10)
#define BY_CHILD (UINT64_C(1) << 20)
#define PERIOD_MS 100
#define CHILD_POLL_NS (5 * NS_PER_MS)
#define RETRY_NS (10 * NS_PER_S)

struct memory {
	void *at; /* NULL: there is none */
	uint64_t size;
	uint32_t version;
	struct layout *layout; /* counted; NULL: not known */
	uint64_t image_low, image_high; /* from a checkpoint: where the image that wrote it was mapped */
	uint32_t generation;            /* and which that was */
	enum state_fit how;             /* it came from that */
};

struct state {
	struct memory live;
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

/* Memory */

static const struct devserve_state_extension *declared(const struct image *image)
{
	return (const struct devserve_state_extension *)image_extension(image, DEVSERVE_STATE_ID);
}

static void set_slot(const struct devserve_state_extension *e, void *at)
{
	memcpy(e->slot, &at, sizeof(at));
}

/* Zeroed, at @wanted (which must be free) or, NULL, anywhere. @layout: or NULL. 0, or an errno. */
static int allocate(uint64_t size, uint32_t version, struct layout *layout, void *wanted, struct memory *ret)
{
	void *at = mmap(wanted, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (wanted ? MAP_FIXED_NOREPLACE : 0),
			-1, 0);

	if (at == MAP_FAILED)
		return errno;
	if (size > BY_CHILD)
		madvise(at, size, MADV_HUGEPAGE); /* fewer page tables for fork() to copy */
	sanitizer_poison_behind(at, size);
	*ret = (struct memory){
		.at = at, .size = size, .version = version, .layout = layout ? layout_ref(layout) : NULL
	};
	return 0;
}

static void release(struct memory *m)
{
	if (m->at) {
		sanitizer_unpoison_behind(m->at, m->size);
		munmap(m->at, m->size);
	}
	m->at = NULL;
	m->layout = layout_unref(m->layout);
}

/* To an address of the kernel's choice. 0, or an errno. */
static int move_away(struct memory *m)
{
	struct memory place;
	int r = allocate(m->size, m->version, m->layout, NULL, &place);

	sanitizer_unpoison_behind(m->at, m->size);
	if (r == 0)
		layout_unref(m->layout);
	if (r == 0 && mremap(m->at, m->size, m->size, MREMAP_MAYMOVE | MREMAP_FIXED, place.at) == MAP_FAILED)
		r = errno;
	if (r == 0)
		*m = place;
	return r;
}

/* What the image needs of what is there */

static int say(char *sentence, size_t size, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int say(char *sentence, size_t size, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, size, format, args);
	va_end(args);
	return error;
}

static int new_memory(const struct image *image, void *wanted, struct memory *ret, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	int r = allocate(e->size, e->version, image->layout, wanted, ret);

	if (r == 0)
		return 0;
	return say(sentence, size, r, "no memory for a state of %llu bytes: %s",
		   (unsigned long long)e->size, strerror(r));
}

static bool has_migrate_from(const struct devserve_state_extension *e)
{
	return e->extension.struct_size >= offsetof(struct devserve_state_extension, migrate_from) + sizeof(void *) &&
	       e->migrate_from;
}

/* How what is there becomes the state of an image. */
struct passage {
	enum state_fit how;
	struct plan plan;
	struct buffer why;
};

#define _cleanup_passage_ __attribute__((cleanup(passage_fini)))

static void passage_fini(struct passage *p)
{
	plan_fini(&p->plan);
	buffer_fini(&p->why);
}

/* @from: its `at` isn't looked at. */
static void find_passage(const struct memory *from, const struct image *image, struct passage *ret)
{
	const struct devserve_state_extension *e = declared(image);
	const struct state_shape was = { from->size, from->version, from->layout };
	const struct state_shape is = { e->size, e->version, image->layout };

	*ret = (struct passage){ .why = BUFFER_NULL };
	ret->how = state_fit(&was, &is, e->migrate || has_migrate_from(e), &ret->plan, &ret->why);
}

static int migrate(const struct devserve_state_extension *e, const struct plan *plan, const struct memory *from,
		   void *ret)
{
	if (!has_migrate_from(e))
		return e->migrate(from->at, from->size, from->version, ret);
	plan_apply(plan, from->at, ret);
	return migrate_from(e, from->at, from->version, from->size, from->layout, ret);
}

/* From @from by @p, whose way isn't STATE_SAME, at @wanted. */
static int pass(const struct passage *p, const struct image *image, const struct memory *from, void *wanted,
		struct memory *ret, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	int r;

	if (p->how == STATE_MISFIT)
		return say(sentence, size, EPROTO, "%s", buffer_text(&p->why));
	r = new_memory(image, wanted, ret, sentence, size);
	if (r != 0)
		return r;
	if (p->how == STATE_COPIED)
		plan_apply(&p->plan, from->at, ret->at);
	else
		r = migrate(e, &p->plan, from, ret->at);
	if (r == 0)
		return 0;
	release(ret);
	return say(sentence, size, r < 0 ? -r : EPROTO, "migrate() from version %u returned %d (%s)",
		   from->version, r, strerror(r < 0 ? -r : r));
}

static int read_into(const struct checkpoint *c, struct layout *layout, void *wanted, struct memory *ret)
{
	int r = allocate(c->size, c->version, layout, wanted, ret);

	if (r != 0)
		return r;
	r = -checkpoint_read(c, ret->at);
	if (r != 0)
		release(ret);
	return r;
}

static int take_over(const struct image *image, const struct checkpoint *c, void *wanted, struct memory *ret,
		     char *sentence, size_t size)
{
	struct memory old = { .size = c->size, .version = c->version, .layout = checkpoint_layout(c) };
	_cleanup_passage_ struct passage p;
	struct layout *layout = old.layout;
	bool same;
	int r;

	find_passage(&old, image, &p);
	same = p.how == STATE_SAME;
	r = read_into(c, same && image->layout ? image->layout : layout, same ? wanted : NULL, &old);
	layout_unref(layout);
	if (r != 0)
		return say(sentence, size, r, "cannot read the checkpoint of the state: %s", strerror(r));
	if (same)
		*ret = old;
	else
		r = pass(&p, image, &old, wanted, ret, sentence, size);
	if (!same)
		release(&old);
	if (r != 0)
		return r;
	ret->image_low = c->image_low;
	ret->image_high = c->image_high;
	ret->generation = c->generation;
	ret->how = p.how;
	return 0;
}

/*
 * The state of @image from the checkpoint at @path, at @wanted. 0, or an errno with @sentence. A
 * checkpoint that isn't ours counts as none, and the sentence says why.
 */
static int make(const struct image *image, const char *path, void *wanted, struct memory *ret, char *sentence,
		size_t size)
{
	struct checkpoint c;
	int r = path[0] ? checkpoint_open(path, &c, sentence, size) : -ENOENT;

	if (r == 0) {
		r = take_over(image, &c, wanted, ret, sentence, size);
		checkpoint_close(&c);
		return r;
	}
	if (r == -ENOENT || r == CHECKPOINT_E_FOREIGN)
		return new_memory(image, wanted, ret, r < 0 ? sentence : (char[1]){ 0 }, r < 0 ? size : 1);
	return say(sentence, size, -r, "cannot open %s: %s", path, strerror(-r));
}

/* Whether it has an address that nothing is at any more, or soon, with a clause about it. */
static bool has_address(const struct memory *m, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer member = BUFFER_NULL;

	if (!address_find(m->layout, m->at, m->size, m->image_low, m->image_high, &member))
		return false;
	buffer_printf(ret, "%s holds an address in the image of generation %u", member.data, m->generation);
	return true;
}

/* Trial */

int state_try(const struct image *image, const char *path, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	struct memory copy;
	int r;

	if (!e)
		return 0;
	r = make(image, path, NULL, &copy, sentence, size);
	if (r == 0) {
		set_slot(e, copy.at);
		layout_unref(copy.layout);
	}
	return r;
}

int state_try_swap(const struct image *image, const char *path, char *sentence, size_t size)
{
	const struct devserve_state_extension *e = declared(image);
	_cleanup_buffer_ struct buffer clause = BUFFER_NULL;
	struct checkpoint c;
	struct memory copy;

	if (!e || !path[0] || checkpoint_open(path, &c, (char[1]){ 0 }, 1) != 0)
		return 0;
	copy = (struct memory){ .size = e->size, .layout = image->layout, .generation = c.generation,
				.image_low = c.image_low, .image_high = c.image_high };
	memcpy(&copy.at, e->slot, sizeof(copy.at));
	checkpoint_close(&c);
	if (!has_address(&copy, &clause))
		return 0;
	return say(sentence, size, EFAULT, "%s, which goes with the swap; keep an index or the data itself", clause.data);
}

void state_try_end(const struct image *image)
{
	const struct devserve_state_extension *e = declared(image);
	struct memory copy = { .at = NULL };

	if (!e)
		return;
	memcpy(&copy.at, e->slot, sizeof(copy.at));
	copy.size = e->size;
	release(&copy);
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

/* The server tells it of what it rolls out; here the checkpoint was of another generation than it knows. */
static void report_passage(const struct memory *m)
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
	if (make(image, path, ADDRESS, &s->live, sentence, sizeof(sentence)) != 0)
		end_process(sentence);
	if (s->is_private)
		s->path[0] = '\0';
	else if (sentence[0])
		put_aside(path, sentence);
	if (!s->is_private)
		report_passage(&s->live);
	if (!s->is_private && has_address(&s->live, &clause))
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
	struct memory old = s->live;

	if (move_away(&old) != 0 || pass(p, image, &old, ADDRESS, &s->live, sentence, sizeof(sentence)) != 0)
		end_process(sentence);
	begin_another_file(s);
	release(&old);
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

	find_passage(&s->live, image, &p);
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
	s->generation = image->generation;
	s->image_low = image->base;
	s->image_high = image->end;
	if (!e)
		return; /* what is there waits for an image that wants it */
	if (s->live.at)
		pass_live(s, image);
	else
		restore(s, image, path);
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

static bool has_writer(struct state *s)
{
	open_writer(s);
	if (s->writer)
		checkpoint_is_of(s->writer, s->generation, s->image_low, s->image_high);
	return s->writer != NULL;
}

static void write_checkpoint(struct state *s)
{
	s->last_ns = clock_ns();
	if (!has_writer(s))
		return;
	s->changed = false;
	if (s->live.size <= BY_CHILD || !start_child(s))
		write_here(s);
}

static bool by_period(const struct state *s)
{
	return s->live.size > EVERY_BATCH;
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
