/* SPDX-License-Identifier: MIT */

/*
 * A replica ends in one place, on_end(): whatever the reason (asked to stop, crashed, killed
 * for breaking the ring's rules), the process's end is what counts. Completions that were
 * published before it are still drained; calls that remain in the table are lost.
 *
 * The struct is freed when its last libuv handle is closed, never inside a callback, so that
 * the hub may go on walking its list.
 */

#include "replica/replica.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/oom.h"
#include "replica/arena.h"
#include "replica/hub.h"
#include "replica/lines.h"
#include "replica/placement.h"
#include "replica/sanitizer.h"
#include "ring/link.h"

#define INTERRUPT_MS 200 /* to write down where it hangs */
#define TITLE_ROOM 64    /* in a worker's arguments (worker/title.h) */

struct slot {
	void *call; /* NULL: free */
	uint64_t serial;
};

struct replica {
	struct replica *next_in_hub;
	struct hub *hub;
	const struct replica_callbacks *callbacks;
	void *context;
	struct child *child;
	pid_t pid;
	bool stopping, gone, broken, is_up, killed, is_private;
	const char *interrupted; /* why, or NULL */
	char *runtime;           /* of a sanitizer, or NULL */
	struct sanitizer_report report;
	struct crash *crash; /* our copy, at the end */
	uint64_t oom_kills; /* of the machine when it started */
	unsigned n_loads, n_swaps, n_unloads, n_proofs, n_measurements; /* answers that are still due */
	bool has_swapped;
	unsigned n_handles;

	int link_fd, bell_fd;
	struct link_shared *link;
	struct ring to_worker, to_server;
	uv_poll_t bell;
	uv_timer_t grace;

	struct placement placement;

	struct slot slots[REPLICA_MAX_CALLS];
	uint16_t free_slots[REPLICA_MAX_CALLS];
	unsigned n_free;
	uint64_t n_calls;
	unsigned grace_ms;

	struct lines lines;
};

struct replica **replica_link(struct replica *r)
{
	return &r->next_in_hub;
}

pid_t replica_pid(const struct replica *r)
{
	return r->pid;
}

const char *replica_runtime(const struct replica *r)
{
	return r->runtime;
}

unsigned replica_room(const struct replica *r)
{
	return replica_is_stopping(r) ? 0 : r->n_free;
}

unsigned replica_in_flight(const struct replica *r)
{
	return REPLICA_MAX_CALLS - r->n_free;
}

void replica_set_callbacks(struct replica *r, const struct replica_callbacks *callbacks, void *context)
{
	r->callbacks = callbacks;
	r->context = context;
}

static void on_closed(uv_handle_t *handle)
{
	struct replica *r = handle->data;

	if (--r->n_handles)
		return;
	munmap(r->link, sizeof(*r->link));
	close(r->link_fd);
	close(r->bell_fd);
	lines_fini(&r->lines);
	sanitizer_report_fini(&r->report);
	free(r->runtime);
	free(r->crash);
	free(r);
}

/* No callback after this. */
static void dismantle(struct replica *r)
{
	r->gone = true;
	r->hub->n_in_flight -= replica_in_flight(r);
	hub_remove(r->hub, r);
	uv_close((uv_handle_t *)&r->bell, on_closed);
	uv_close((uv_handle_t *)&r->grace, on_closed);
}

/* The worker wrote what it must not: it is not talked to any more, and dies of it. */
static void break_off(struct replica *r)
{
	if (r->broken)
		return;
	r->broken = true;
	if (r->child)
		child_kill(r->child, SIGKILL);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct replica *r = context;

	if (r->runtime && sanitizer_report_take(&r->report, text, size))
		return;
	if (r->callbacks->line)
		r->callbacks->line(r->context, level, text, size);
}

static void on_text(void *context, int fd, const char *text, size_t size)
{
	struct replica *r = context;

	lines_take(&r->lines, fd, text, size, on_line, r);
}

static enum replica_cause cause_of(const struct replica *r, const struct child_end *end)
{
	if (r->interrupted)
		return REPLICA_TIMEOUT;
	if (r->broken)
		return REPLICA_CRASHED;
	if (end->signal == SIGKILL || (r->stopping && !end->signal && !end->code))
		return r->stopping ? REPLICA_STOPPED : REPLICA_KILLED;
	return REPLICA_CRASHED;
}

static void describe_report(const struct sanitizer_report *report, char *ret, size_t size)
{
	_cleanup_buffer_ struct buffer what = BUFFER_NULL;

	sanitizer_describe(report->text.data, &what);
	snprintf(ret, size, "was ended by %s: %s", sanitizer_tool(report->text.data), buffer_text(&what));
}

static void describe_end(const struct replica *r, const struct child_end *end, char *ret, size_t size)
{
	if (r->interrupted)
		snprintf(ret, size, "was stopped because %s", r->interrupted);
	else if (r->broken)
		snprintf(ret, size, "wrote where only the server may write and was stopped");
	else if (r->report.text.size)
		describe_report(&r->report, ret, size);
	else if (end->signal == SIGKILL && !r->killed && oom_kills() != r->oom_kills)
		snprintf(ret, size, "was killed by signal 9, perhaps for want of memory: the system has killed for that "
			 "since it started");
	else if (end->signal)
		snprintf(ret, size, "was killed by signal %d (%s)", end->signal, strsignal(end->signal));
	else
		snprintf(ret, size, "ended with exit status %d", end->code);
}

static unsigned newest_slot(const struct replica *r)
{
	unsigned newest = 0;

	for (unsigned i = 1; i < REPLICA_MAX_CALLS; i++)
		if (r->slots[i].call &&
		    (!r->slots[newest].call || r->slots[i].serial > r->slots[newest].serial))
			newest = i;
	return newest;
}

static void *free_slot(struct replica *r, unsigned slot)
{
	void *call = r->slots[slot].call;

	r->slots[slot].call = NULL;
	r->free_slots[r->n_free++] = (uint16_t)slot;
	r->hub->n_in_flight--;
	return call;
}

static void lose_calls(struct replica *r, const struct replica_end *end)
{
	uint32_t running = atomic_load(&r->link->running);

	while (replica_in_flight(r)) {
		unsigned slot = newest_slot(r);
		bool begun = running && (uint32_t)r->slots[slot].serial == running;
		void *call = free_slot(r, slot);

		r->callbacks->lost(r->context, call, begun, end);
	}
}

void replica_ended(struct replica *r, const struct child_end *child_end)
{
	char how[512];
	struct replica_end end = { .pid = r->pid, .how = how };

	r->child = NULL;
	replica_drain(r); /* all that there can be */
	end.cause = cause_of(r, child_end);
	end.crash = r->crash = crash_copy(&r->link->crash);
	end.report = r->report.text.size ? r->report.text.data : NULL;
	describe_end(r, child_end, how, sizeof(how));
	lose_calls(r, &end);
	dismantle(r);
	if (r->callbacks->died)
		r->callbacks->died(r->context, &end);
}

static void on_end(void *context, const struct child_end *end)
{
	replica_ended(context, end);
}

struct link_shared *replica_shared(const struct replica *r)
{
	return r->link;
}

static void on_bell(uv_poll_t *poll, int status, int events)
{
	struct replica *r = poll->data;
	uint64_t count;

	(void)status, (void)events;
	if (read(r->bell_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		break_off(r); /* the drain itself happens in the hub's check */
}

static int start_child(struct replica *r, const struct replica_options *o)
{
	_cleanup_free_ char *title = xasprintf("%-*s", TITLE_ROOM, o->name);
	const char *argv[] = { o->worker, title, NULL };
	char **environment = o->runtime ? sanitizer_environment(o->runtime) : NULL;
	const struct child_options options = {
		.argv = argv,
		.env = (const char *const *)environment,
		.fds = { r->link_fd, o->arena->fd, r->bell_fd },
		.n_fds = 3,
		.on_text = on_text,
		.on_end = on_end,
		.context = r,
	};
	int e;

	e = child_start(r->hub->loop, &options, &r->child);
	for (char **v = environment; v && *v; v++)
		free(*v);
	free(environment);
	return e;
}

static int make_link(struct replica *r, const struct replica_options *o)
{
	void *map;
	int e = link_memory(o->name, sizeof(*r->link), &r->link_fd, &map);

	if (e < 0)
		return e;
	r->link = map;
	r->link->magic = LINK_MAGIC;
	r->link->version = LINK_VERSION;
	r->link->server_pid = (uint32_t)getpid();
	ring_init(&r->to_worker, &r->link->to_worker);
	ring_init(&r->to_server, &r->link->to_server);
	r->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->bell_fd >= 0)
		return 0;
	e = -errno;
	munmap(map, sizeof(*r->link));
	close(r->link_fd);
	return e;
}

int replica_start(struct hub *hub, const struct replica_options *o, struct replica **ret)
{
	struct replica *r = xcalloc(1, sizeof(*r));
	int e;

	r->hub = hub;
	r->callbacks = o->callbacks;
	r->context = o->context;
	r->runtime = o->runtime ? xstrdup(o->runtime) : NULL;
	e = make_link(r, o);
	if (e < 0) {
		free(r->runtime);
		free(r);
		return e;
	}
	e = o->worker ? start_child(r, o) : 0;
	if (e < 0) {
		munmap(r->link, sizeof(*r->link));
		close(r->link_fd);
		close(r->bell_fd);
		free(r->runtime);
		free(r);
		return e;
	}
	r->pid = r->child ? child_pid(r->child) : 0;
	r->placement.cpu = -1;
	r->oom_kills = oom_kills();
	for (unsigned i = 0; i < REPLICA_MAX_CALLS; i++)
		r->free_slots[r->n_free++] = (uint16_t)(REPLICA_MAX_CALLS - 1 - i);
	uv_poll_init(hub->loop, &r->bell, r->bell_fd);
	uv_timer_init(hub->loop, &r->grace);
	r->bell.data = r->grace.data = r;
	r->n_handles = 2;
	uv_poll_start(&r->bell, UV_READABLE, on_bell);
	hub_add(hub, r);
	*ret = r;
	return 0;
}

static void order(struct replica *r, const struct message *m)
{
	if (r->gone || r->broken)
		return;
	if (ring_put(&r->to_worker, m) < 0) {
		break_off(r); /* calls leave room for orders: the counters are wrong */
		return;
	}
	replica_flush(r);
}

static void on_grace_over(uv_timer_t *timer)
{
	struct replica *r = timer->data;

	r->killed = true;

	if (r->child)
		child_kill(r->child, SIGKILL);
}

static void start_grace(struct replica *r)
{
	uv_update_time(r->hub->loop);
	uv_timer_start(&r->grace, on_grace_over, r->grace_ms, 0);
}

void replica_stop(struct replica *r, unsigned grace_ms)
{
	if (r->gone || r->stopping)
		return;
	r->stopping = true;
	r->grace_ms = grace_ms;
	order(r, &(struct message){ .kind = LINK_STOP });
	if (!replica_in_flight(r))
		start_grace(r);
}

void replica_interrupt(struct replica *r, const char *why)
{
	if (!r->child || r->interrupted)
		return;
	r->interrupted = why;
	child_kill(r->child, SIGCONT); /* it may have stopped itself */
	kill(r->pid, SIGXCPU);
	uv_update_time(r->hub->loop);
	uv_timer_start(&r->grace, on_grace_over, INTERRUPT_MS, 0);
}

void replica_kill(struct replica *r)
{
	r->killed = true;
	if (r->child)
		child_kill(r->child, SIGKILL);
}

struct replica *replica_abandon(struct replica *r)
{
	if (!r || r->gone)
		return NULL;
	r->child = child_abandon(r->child);
	dismantle(r);
	return NULL;
}

static void set_path(char *ret, size_t size, const char *path)
{
	snprintf(ret, size, "%s", path ? path : "");
}

void replica_describe_load(struct link_load *load, const struct replica_image *image)
{
	set_path(load->image, sizeof(load->image), image->path);
	set_path(load->weights, sizeof(load->weights), image->weights);
	set_path(load->state, sizeof(load->state), image->state);
	set_path(load->device, sizeof(load->device), image->device);
	set_path(load->layout, sizeof(load->layout), image->layout);
	set_path(load->serving, sizeof(load->serving), image->serving);
	load->serving_generation = image->serving_generation;
	load->hash[0] = '\0';
	if (!hash_is_zero(image->hash))
		hash_text(image->hash, load->hash);
}

void replica_load(struct replica *r, const struct replica_image *image)
{
	r->n_loads++;
	replica_describe_load(&r->link->load, image);
	order(r, &(struct message){ .kind = LINK_LOAD, .extra = (image->trial ? LINK_TRIAL : 0) |
								(image->cuda ? LINK_CUDA : 0) });
}

void replica_warm(struct replica *r)
{
	order(r, &(struct message){ .kind = LINK_WARM });
}

void replica_prove(struct replica *r, int fd)
{
	r->n_proofs++;
	order(r, &(struct message){ .kind = LINK_PROVE, .extra = (uint64_t)fd });
}

void replica_measure(struct replica *r, int fd)
{
	r->n_measurements++;
	order(r, &(struct message){ .kind = LINK_MEASURE, .extra = (uint64_t)fd });
}

void replica_yield(struct replica *r)
{
	sched_setscheduler(r->pid, SCHED_IDLE, &(struct sched_param){ .sched_priority = 0 });
}

void replica_drop(struct replica *r)
{
	order(r, &(struct message){ .kind = LINK_DROP });
}

void replica_attach(struct replica *r, const struct arena *arena)
{
	snprintf(r->link->arena_path, sizeof(r->link->arena_path), "/proc/%d/fd/%d", (int)getpid(), arena->fd);
	order(r, &(struct message){ .kind = LINK_ATTACH });
}

void replica_swap(struct replica *r, uint32_t generation, const char *state)
{
	r->n_swaps++;
	if (!r->link->state_path[0])
		set_path(r->link->state_path, sizeof(r->link->state_path), state);
	order(r, &(struct message){ .kind = LINK_SWAP, .extra = generation, .size = r->is_private });
}

void replica_keep_private(struct replica *r)
{
	r->is_private = true;
}

void replica_set_idle(struct replica *r)
{
	placement_yield(r->pid);
}

void replica_set_name(struct replica *r, const char *name)
{
	snprintf(r->link->name, sizeof(r->link->name), "%s", name);
}

void replica_set_limits(struct replica *r, unsigned threads, unsigned checkpoint_ms)
{
	r->link->threads = threads;
	r->link->checkpoint_ms = checkpoint_ms;
}

bool replica_is_stopping(const struct replica *r)
{
	return r->stopping || r->gone || r->broken || r->interrupted;
}

bool replica_runs(const struct replica *r, const void *call)
{
	uint32_t running = atomic_load_explicit(&r->link->running, memory_order_acquire);

	for (unsigned i = 0; i < REPLICA_MAX_CALLS; i++)
		if (r->slots[i].call == call)
			return (uint32_t)r->slots[i].serial == running;
	return false;
}

bool replica_runs_nothing(const struct replica *r)
{
	return !atomic_load_explicit(&r->link->running, memory_order_acquire);
}

uint32_t replica_running(const struct replica *r)
{
	return atomic_load_explicit(&r->link->running, memory_order_acquire);
}

bool replica_is_traced(const struct replica *r)
{
	static const char key[] = "\nTracerPid:";
	char path[32], status[512];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)r->pid);
	if (file_read_line(path, status, sizeof(status)) < 0)
		return false;
	at = strstr(status, key);
	return at && strtol(at + sizeof(key) - 1, NULL, 10) > 0;
}

int replica_call(struct replica *r, uint64_t offset, void *call)
{
	unsigned slot;

	if (!replica_room(r))
		return -EAGAIN;
	slot = r->free_slots[r->n_free - 1];
	if (ring_put(&r->to_worker,
		     &(struct message){ .kind = LINK_CALL, .slot = slot, .offset = offset,
					 .extra = r->n_calls + 1 }) < 0)
		break_off(r); /* there was room: the counters are wrong. The call is lost with the worker */
	r->n_free--;
	r->slots[slot] = (struct slot){ .call = call, .serial = ++r->n_calls };
	r->hub->n_in_flight++;
	r->hub->submitted = true;
	return 0;
}

void replica_set_beside(struct replica *r, bool beside)
{
	if (r->placement.beside == beside || !r->hub->few_cpus)
		return;
	r->placement.beside = beside;
	if (!beside)
		placement_release(&r->placement, r->pid, &r->hub->cpus);
}

void replica_flush(struct replica *r)
{
	if (r->gone || !ring_unpublished(&r->to_worker))
		return;
	if (r->placement.beside)
		placement_follow(&r->placement, r->pid);
	ring_publish(&r->to_worker);
	link_wake_worker(r->link);
	if (r->hub->submitted)
		r->hub->last_submit_ns = clock_ns();
}

void replica_arm(struct replica *r)
{
	atomic_store_explicit(&r->link->server_sleeps, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

void replica_disarm(struct replica *r)
{
	atomic_store_explicit(&r->link->server_sleeps, 0, memory_order_relaxed);
}

bool replica_pending(const struct replica *r)
{
	return !r->broken && ring_readable(&r->to_server);
}

/* The call of a slot that the worker named, or NULL where it named none of ours. */
static void *call_in_slot(struct replica *r, uint32_t slot)
{
	return slot < REPLICA_MAX_CALLS ? r->slots[slot].call : NULL;
}

static void handle_done(struct replica *r, uint32_t slot)
{
	if (!call_in_slot(r, slot)) {
		break_off(r);
		return;
	}
	r->callbacks->done(r->context, free_slot(r, slot));
	if (r->stopping && !replica_in_flight(r))
		start_grace(r);
}

static void handle_need(struct replica *r, const struct message *m)
{
	void *call = call_in_slot(r, m->slot);
	uint64_t offset;

	if (!call) {
		break_off(r);
		return;
	}
	offset = r->callbacks->need(r->context, call, m->size);
	link_grant(r->link, offset, offset ? m->size : 0);
}

static void handle_loaded(struct replica *r, const struct message *m)
{
	char sentence[sizeof(r->link->sentence)];

	memcpy(sentence, r->link->sentence, sizeof(sentence));
	sentence[sizeof(sentence) - 1] = '\0';
	if (r->callbacks->loaded)
		r->callbacks->loaded(r->context, (int)(m->extra & 0xffff), m->extra ? sentence : "");
}

/* Whether the answer @m was due. */
static bool is_due(struct replica *r, uint32_t kind)
{
	switch (kind) {
	case LINK_UP:
		return !r->is_up && (r->is_up = true);
	case LINK_LOADED:
		return r->n_loads && r->n_loads--;
	case LINK_SWAPPED:
		if (!r->n_swaps)
			return false;
		r->n_swaps--;
		r->n_unloads += r->has_swapped; /* the image before */
		return r->has_swapped = true;
	case LINK_UNLOADED:
		return r->n_unloads && r->n_unloads--;
	case LINK_PROVED:
		return r->n_proofs && r->n_proofs--;
	case LINK_MEASURED:
		return r->n_measurements && r->n_measurements--;
	default:
		return true;
	}
}

static void handle(struct replica *r, const struct message *m)
{
	if (!is_due(r, m->kind)) {
		break_off(r);
		return;
	}
	switch (m->kind) {
	case LINK_DONE:
		handle_done(r, m->slot);
		break;
	case LINK_NEED:
		handle_need(r, m);
		break;
	case LINK_UP:
		if (r->callbacks->up)
			r->callbacks->up(r->context);
		break;
	case LINK_LOADED:
		handle_loaded(r, m);
		break;
	case LINK_SWAPPED:
		if (r->callbacks->swapped)
			r->callbacks->swapped(r->context, m->extra);
		break;
	case LINK_PROVED:
		if (r->callbacks->proved)
			r->callbacks->proved(r->context, (int)(m->extra & 0xffff));
		break;
	case LINK_MEASURED:
		if (r->callbacks->measured)
			r->callbacks->measured(r->context, (int)(m->extra & 0xffff));
		break;
	case LINK_UNLOADED:
		if (r->callbacks->unloaded)
			r->callbacks->unloaded(r->context, m->extra == LINK_UNMAPPED ? REPLICA_UNMAPPED :
							   m->extra == LINK_THREADS_LEFT ? REPLICA_THREADS_LEFT :
											   REPLICA_STILL_MAPPED);
		break;
	default:
		break_off(r);
	}
}

/* Not more than a ring has at once: a worker that writes all the time must not hold the loop. */
bool replica_drain(struct replica *r)
{
	struct message m;
	unsigned taken = 0;
	int n = 0;

	while (!r->gone && !r->broken && taken < RING_SIZE && (n = ring_take(&r->to_server, &m)) > 0) {
		ring_consume(&r->to_server);
		handle(r, &m);
		taken++;
	}
	if (n < 0)
		break_off(r);
	return taken > 0;
}
