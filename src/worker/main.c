/* SPDX-License-Identifier: MIT */

/*
 * devserve-worker: one replica. Started by devserve with three descriptors (ring/link.h);
 * takes messages from its ring, runs calls on the image that serves, and ends with its
 * parent. Two threads: this one, which serves, and the control thread, which maps images.
 *
 * Completions are published, and the server woken, once for all messages that were taken
 * in one go (or after BELL_NS of computing): a wake-up costs more than most kernels.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <devserve/ext/state.h>

#include "base/clock.h"
#include "ring/call.h"
#include "ring/link.h"
#include "worker/control.h"
#include "worker/crash.h"
#include "worker/flight.h"
#include "worker/gpu.h"
#include "worker/host.h"
#include "worker/image.h"
#include "worker/launched.h"
#include "worker/libraries.h"
#include "worker/manners.h"
#include "worker/measure.h"
#include "worker/proof.h"
#include "worker/replay.h"
#include "worker/sanitizer.h"
#include "worker/state.h"
#include "worker/threads.h"
#include "worker/title.h"

/* An answer never waits longer than this for the ones after it. */
#define BELL_NS (20 * NS_PER_US)

#define HIGH_FD 300 /* a descriptor that a deployment doesn't get when it has closed ours */

struct worker {
	struct link_shared *link;
	int bell;
	char *arena;
	const char *inputs; /* the arena again, read-only */
	size_t arena_size;
	struct ring from_server, to_server;
	struct control *control;
	struct invocation *invocations[MAX_FLIGHTS]; /* NULL: not needed yet, but for the first */
	struct flying { /* calls that have begun */
		uint32_t slot, serial;
		struct call *call;
	} flying[MAX_FLIGHTS];
	unsigned first_flying, n_flying;
	struct message message; /* that comes next, if it was taken */
	bool has_message;
	struct state *state;
	struct image serving; /* dl is NULL until the first swap */
	struct image loaded;  /* waits for LINK_SWAP */
	bool has_serving, has_loaded, stopping;
	struct libraries libraries;
	bool unrung; /* published, and the bell not rung */
	uint32_t n_grants;
	uint64_t unrung_ns; /* computed since the bell was last rung */
};

static const char overwritten[] = "memory that is shared with devserve was overwritten";

static _Noreturn void give_up(const char *sentence)
{
	fprintf(stderr, "%s\n", sentence);
	_exit(1);
}

static void ring_bell(struct worker *w)
{
	uint64_t one = 1;

	ring_publish(&w->to_server);
	w->unrung_ns = 0;
	w->unrung = false;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&w->link->server_sleeps, memory_order_relaxed) &&
	    atomic_exchange(&w->link->server_sleeps, 0) && write(w->bell, &one, sizeof(one)) < 0)
		give_up("a descriptor of devserve's is gone; the deployment closed it");
}

/* The server empties its ring all the time; a full one means that it is about to. */
static void send(struct worker *w, const struct message *m)
{
	int r;

	while ((r = ring_put(&w->to_server, m)) == -EAGAIN) {
		ring_bell(w);
		sched_yield();
	}
	if (r < 0)
		give_up(overwritten);
}

static void *need(void *context, uint32_t slot, uint64_t size)
{
	struct worker *w = context;
	uint64_t offset, granted;

	send(w, &(struct message){ .kind = LINK_NEED, .slot = slot, .size = size });
	ring_bell(w);
	link_await_grant(w->link, ++w->n_grants, &offset, &granted);
	return granted >= size ? w->arena + offset : NULL;
}

/* @i grows by one at a time. */
static struct invocation *invocation_of(struct worker *w, unsigned i)
{
	if (!w->invocations[i]) {
		w->invocations[i] = invocation_new(need, w);
		invocation_attach(w->invocations[i], w->arena, w->inputs, w->arena_size);
	}
	return w->invocations[i];
}

/* Its clients left before it began. */
static void skip_call(struct worker *w, const struct message *m, struct call *call)
{
	call->status = -ECANCELED;
	call->compute_ns = 0;
	send(w, &(struct message){ .kind = LINK_DONE, .slot = m->slot });
	w->unrung = true;
}

static bool may_overlap(const struct worker *w)
{
	return gpu_may_overlap(w->serving.gpu) && !image_extension(&w->serving, DEVSERVE_STATE_ID);
}

static struct flying *oldest(struct worker *w)
{
	return &w->flying[w->first_flying];
}

static void set_running(struct worker *w, uint32_t serial)
{
	atomic_store_explicit(&w->link->running, serial, memory_order_release);
}

/* While its infer() runs, whatever happens is its doing; then the oldest's, whose turn it is. */
static void start_call(struct worker *w, const struct message *m)
{
	struct call *call = (struct call *)(w->arena + m->offset);
	bool overlaps = may_overlap(w) && (w->n_flying || ring_readable(&w->from_server));
	unsigned i = w->n_flying ? (w->first_flying + w->n_flying) % MAX_FLIGHTS : 0;

	if (__atomic_load_n(&call->unwanted, __ATOMIC_RELAXED)) {
		skip_call(w, m, call);
		return;
	}
	if (!w->n_flying)
		w->first_flying = 0;
	w->flying[i] = (struct flying){ .slot = m->slot, .serial = (uint32_t)m->extra, .call = call };
	w->n_flying++;
	set_running(w, (uint32_t)m->extra);
	invocation_start(invocation_of(w, i), &w->serving, call, m->slot, i, overlaps);
	set_running(w, oldest(w)->serial);
}

static void finish_oldest(struct worker *w)
{
	struct flying *f = oldest(w);
	const char *damage = invocation_end(w->invocations[w->first_flying]);

	if (damage) { /* who knows what else it wrote to: not an answer, a crash */
		set_running(w, w->flying[gpu_blamed(w->first_flying)].serial);
		crash_end(damage, (uintptr_t)w->serving.entry->infer);
	}
	w->first_flying = (w->first_flying + 1) % MAX_FLIGHTS;
	w->n_flying--;
	state_checkpoint(w->state, !ring_readable(&w->from_server));
	send(w, &(struct message){ .kind = LINK_DONE, .slot = f->slot });
	w->unrung = true;
	ring_publish(&w->to_server); /* should the next call crash, this one was answered */
	set_running(w, w->n_flying ? oldest(w)->serial : 0);
	w->unrung_ns += f->call->compute_ns;
	if (w->unrung_ns > BELL_NS || w->n_flying)
		ring_bell(w);
}

/* Others may begin before it ends if they overlap; each waits for it otherwise. */
static void run_call(struct worker *w, const struct message *m)
{
	start_call(w, m);
	if (w->n_flying && !may_overlap(w))
		finish_oldest(w);
}

static void swap(struct worker *w, const struct message *m)
{
	uint64_t started = clock_ns();
	struct image before = w->serving;

	title_set(w->link->name);
	libraries_limit_threads(&w->libraries, w->link->threads);
	state_set_period(w->state, w->link->checkpoint_ms);
	if (m->size)
		state_keep_private(w->state);
	w->loaded.generation = (uint32_t)m->extra;
	state_enter(w->state, &w->loaded, w->link->state_path);
	w->serving = w->loaded;
	w->has_loaded = false;
	send(w, &(struct message){ .kind = LINK_SWAPPED, .extra = clock_ns() - started });
	w->unrung = true;
	ring_publish(&w->to_server); /* should the old one's destroy() crash, the new one serves */
	if (w->has_serving)
		control_close(w->control, &before);
	w->has_serving = true;
}

static void drop(struct worker *w)
{
	if (w->has_loaded)
		control_drop(w->control, &w->loaded);
	w->has_loaded = false;
}

static void take_result(struct worker *w)
{
	static struct control_result result;
	struct message m = { .kind = LINK_LOADED };

	if (!control_take(w->control, &result) || result.order == CONTROL_DROP || result.order == CONTROL_WARM)
		return;
	if (result.order == CONTROL_CLOSE) {
		m = (struct message){ .kind = LINK_UNLOADED, .extra = result.unloaded };
	} else if (result.error) {
		m.extra = (uint64_t)result.error;
		memcpy(w->link->sentence, result.sentence, sizeof(w->link->sentence));
	} else {
		w->loaded = result.image;
		w->has_loaded = true;
	}
	send(w, &m);
}

static void *map_descriptor(int fd, int protection, size_t *ret_size)
{
	struct stat st;
	void *map = MAP_FAILED;

	if (fstat(fd, &st) == 0)
		map = mmap(NULL, (size_t)st.st_size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED) {
		fprintf(stderr, "devserve-worker: started by hand? It is devserve that starts it.\n");
		exit(2);
	}
	*ret_size = (size_t)st.st_size;
	madvise(map, (size_t)st.st_size, MADV_DONTFORK);
	madvise(map, (size_t)st.st_size, MADV_DONTDUMP); /* gigabytes that nobody touched */
	return map;
}

static void map_arena(struct worker *w, int fd)
{
	if (w->arena) {
		gpu_unpin(w->arena);
		munmap(w->arena, w->arena_size);
		munmap((char *)w->inputs, w->arena_size);
	}
	w->arena = map_descriptor(fd, PROT_READ | PROT_WRITE, &w->arena_size);
	w->inputs = map_descriptor(fd, PROT_READ, &w->arena_size);
	for (unsigned i = 0; i < MAX_FLIGHTS && w->invocations[i]; i++)
		invocation_attach(w->invocations[i], w->arena, w->inputs, w->arena_size);
}

/* A worker that was started before it was known for whom. */
static void attach(struct worker *w)
{
	int fd = open(w->link->arena_path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		give_up("the deployment's memory cannot be opened");
	map_arena(w, fd);
	close(fd);
}

static void prove(struct worker *w, const struct message *m)
{
	int r = -ENOENT;

	libraries_limit_threads(&w->libraries, w->link->threads);
	if (w->has_loaded)
		r = proof_carry_out(w->link, m->extra, &w->loaded);
	send(w, &(struct message){ .kind = LINK_PROVED, .extra = (uint64_t)-r });
}

/* In a worker that does nothing else. */
static void measure(struct worker *w, const struct message *m)
{
	title_set(w->link->name);
	libraries_limit_threads(&w->libraries, w->link->threads);
	send(w, &(struct message){ .kind = LINK_MEASURED, .extra = (uint64_t)-measure_carry_out(w->link, m->extra) });
}

static void obey(struct worker *w, const struct message *m)
{
	switch (m->kind) {
	case LINK_CALL:
		run_call(w, m);
		break;
	case LINK_LOAD:
		control_load(w->control, &w->link->load, (unsigned)m->extra, w->has_serving ? &w->serving : NULL);
		break;
	case LINK_DROP:
		drop(w);
		break;
	case LINK_ATTACH:
		attach(w);
		break;
	case LINK_SWAP:
		swap(w, m);
		break;
	case LINK_WARM:
		control_warm(w->control);
		break;
	case LINK_PROVE:
		prove(w, m);
		break;
	case LINK_MEASURE:
		measure(w, m);
		break;
	case LINK_STOP:
		w->stopping = true;
		break;
	}
}

static bool has_work(void *context)
{
	struct worker *w = context;

	return ring_readable(&w->from_server) || control_ready(w->control);
}

/* What was taken waits until it may be obeyed. */
static void take_message(struct worker *w)
{
	int r = w->has_message ? 0 : ring_take(&w->from_server, &w->message);

	if (r < 0)
		give_up(overwritten);
	w->has_message |= r > 0;
}

/* Obey a message, or end a call: only calls begin before others have ended. Whether there was anything. */
static bool step(struct worker *w)
{
	const struct message *m = &w->message;

	take_message(w);
	if (!w->has_message && !w->n_flying)
		return false;
	if (!w->has_message || (w->n_flying && (m->kind != LINK_CALL || w->n_flying == MAX_FLIGHTS))) {
		finish_oldest(w);
		return true;
	}
	w->has_message = false;
	ring_consume(&w->from_server);
	obey(w, m);
	return true;
}

static void serve(struct worker *w)
{
	while (!w->stopping) {
		unsigned n = 0;

		while (n < 64 && !w->stopping && !control_ready(w->control) && step(w))
			n++;
		take_result(w);
		if (w->unrung || ring_unpublished(&w->to_server))
			ring_bell(w);
		if (has_work(w) || w->stopping || w->has_message || w->n_flying)
			continue;
		state_catch_up(w->state);
		link_worker_sleep(w->link, has_work, w, state_due_ns(w->state));
	}
}

/* destroy() what is mapped; the process ends anyway, but the deployment may have files to close. */
static void stop(struct worker *w)
{
	state_leave(w->state);
	if (w->has_serving)
		control_close(w->control, &w->serving);
	if (w->has_loaded)
		control_close(w->control, &w->loaded);
	control_drain(w->control);
}

static void on_control_done(void *context)
{
	struct worker *w = context;

	link_wake_worker(w->link);
}

/* Out of a deployment's way, who closes or truncates what it finds. */
static void hide_descriptors(struct worker *w)
{
	w->bell = fcntl(LINK_BELL, F_DUPFD_CLOEXEC, HIGH_FD);
	if (w->bell < 0)
		w->bell = LINK_BELL;
	else
		close(LINK_BELL);
	close(LINK_FD);
	close(LINK_ARENA);
}

/* One call, for somebody who looks (worker/replay.h). A debugger gets the signals, if there is one. */
static int replay(struct worker *w, int argc, char **argv)
{
	size_t size;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	launched_learn();
	libraries_hold(&w->libraries);
	threads_hold();
	if (argc > 1 && strcmp(argv[1], "link=yes") == 0) {
		w->link = map_descriptor(LINK_FD, PROT_READ | PROT_WRITE, &size);
		crash_catch(w->link);
		crash_enter_thread(CRASH_INFER);
	}
	return replay_run(argc, argv);
}

int main(int argc, char **argv)
{
	static struct worker w;
	size_t link_size;

	sanitizer_init();
	if (argc > 1 && strcmp(argv[1], "replay") == 0)
		return replay(&w, argc - 2, argv + 2);
	title_init(argc, argv);
	w.link = map_descriptor(LINK_FD, PROT_READ | PROT_WRITE, &link_size);
	manners_adopt(w.link->server_pid);
	w.link->worker_pid = (uint32_t)getpid();
	if (w.link->magic != LINK_MAGIC || w.link->version != LINK_VERSION) {
		fprintf(stderr, "devserve-worker: not of the same version as devserve\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* what a plugin prints is wanted most when it crashes */
	libraries_hold(&w.libraries);
	threads_hold();
	ring_init(&w.from_server, &w.link->to_worker);
	ring_init(&w.to_server, &w.link->to_server);
	w.invocations[0] = invocation_new(need, &w);
	map_arena(&w, LINK_ARENA);
	hide_descriptors(&w);
	crash_catch(w.link);
	crash_enter_thread(CRASH_INFER);
	threads_pin("infer()");
	w.state = state_new();
	w.control = control_new(on_control_done, &w);
	if (!w.control)
		give_up("devserve-worker: cannot start a thread");
	send(&w, &(struct message){ .kind = LINK_UP });
	ring_bell(&w);
	serve(&w);
	stop(&w);
	crash_expect_exit();
	return 0;
}
