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
#include "replica/internal.h"
#include "replica/lines.h"
#include "replica/memcheck.h"
#include "replica/placement.h"
#include "replica/sanitizer.h"
#include "ring/link.h"

#define TITLE_ROOM 64 /* in a worker's arguments (worker/title.h) */

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

void replica_dismantle(struct replica *r)
{
	r->gone = true;
	r->hub->n_in_flight -= replica_in_flight(r);
	hub_remove(r->hub, r);
	uv_close((uv_handle_t *)&r->bell, on_closed);
	uv_close((uv_handle_t *)&r->grace, on_closed);
}

void replica_break_off(struct replica *r)
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

void *replica_free_slot(struct replica *r, unsigned slot)
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
		void *call = replica_free_slot(r, slot);

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
	replica_dismantle(r);
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
		replica_break_off(r); /* the drain itself happens in the hub's check */
}

/* Whose group it is in is the kernel's word, not its own. */
void replica_learn_pid(struct replica *r)
{
	pid_t pid = (pid_t)r->link->worker_pid;

	if (r->report.memcheck && r->child && pid > 0 && getpgid(pid) == child_pid(r->child))
		r->pid = pid;
}

static int start_child(struct replica *r, const struct replica_options *o)
{
	_cleanup_free_ char *title = xasprintf("%-*s", TITLE_ROOM, o->name);
	const char *argv[MEMCHECK_MAX_WORDS + 3];
	size_t n = r->report.memcheck ? memcheck_command(o->runtime, argv) : 0;
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

	argv[n] = o->worker;
	argv[n + 1] = title;
	argv[n + 2] = NULL;
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
	r->report.memcheck = memcheck_is(o->runtime);
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
		replica_break_off(r); /* there was room: the counters are wrong. The call is lost with the worker */
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
