/* SPDX-License-Identifier: MIT */

/*
 * The worker is hostile: any bytes are messages, counters and scribbles of one, between the
 * server's own steps. Whatever it writes, each call that was submitted ends exactly once, and
 * nothing that isn't one of ours ends at all.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include "base/child.h"
#include "replica/arena.h"
#include "replica/hub.h"
#include "replica/replica.h"
#include "ring/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define N_CALLS 200 /* more than fit */

struct input {
	const uint8_t *at, *end;
};

static struct world {
	struct replica *replica;
	struct link_shared *link;
	bool submitted[N_CALLS];
	unsigned n_submitted, n_ended, n_loads, n_loaded, n_swaps, n_swapped, n_up;
	uint32_t tail; /* of an honest worker */
	bool died;
} world;

static uint64_t take(struct input *in, size_t n)
{
	uint64_t value = 0;

	for (; n && in->at < in->end; n--)
		value = value << 8 | *in->at++;
	return value;
}

static void end_call(void *call)
{
	bool *submitted = call;

	assert(submitted >= world.submitted && submitted < world.submitted + N_CALLS && *submitted);
	*submitted = false;
	world.n_ended++;
}

static void on_up(void *context)
{
	assert(context == &world && ++world.n_up == 1);
}

static void on_loaded(void *context, int error, const char *sentence)
{
	assert(context == &world && error >= 0 && strlen(sentence) < sizeof(world.link->sentence));
	assert(++world.n_loaded <= world.n_loads);
}

static void on_swapped(void *context, uint64_t pause_ns)
{
	(void)pause_ns;
	assert(context == &world && ++world.n_swapped <= world.n_swaps);
}

static void on_unloaded(void *context, enum replica_unloaded how)
{
	(void)how;
	assert(context == &world && world.n_swapped > 1);
}

static void on_done(void *context, void *call)
{
	assert(context == &world);
	end_call(call);
}

static uint64_t on_need(void *context, void *call, uint64_t size)
{
	assert(context == &world && *(bool *)call);
	return size < 4096 ? 64 : 0;
}

static void on_lost(void *context, void *call, bool begun, const struct replica_end *end)
{
	(void)begun;
	assert(context == &world && end->how[0]);
	end_call(call);
}

static void on_died(void *context, const struct replica_end *end)
{
	const struct crash *c = end->crash;

	assert(context == &world && !world.died);
	assert(!c || (c->n_frames <= CRASH_FRAMES && c->n_modules <= CRASH_MODULES));
	assert(!c || strlen(c->what) < sizeof(c->what));
	for (unsigned i = 0; c && i < c->n_modules; i++)
		assert(strlen(c->modules[i].path) < sizeof(c->modules[i].path));
	for (unsigned i = 0; c && i < c->n_frames; i++)
		assert(c->frames[i].module < c->n_modules || c->frames[i].module == UINT64_MAX);
	world.died = true;
}

static const struct replica_callbacks callbacks = {
	.up = on_up, .loaded = on_loaded, .swapped = on_swapped, .unloaded = on_unloaded,
	.done = on_done, .need = on_need, .lost = on_lost, .died = on_died,
};

static bool nothing_waits(void *context)
{
	(void)context;
	return false;
}

static struct hub *start_hub(struct arena *arena)
{
	static struct arena_budget budget = { .limit = 1 << 20 };
	static uv_loop_t loop;
	static struct hub hub;
	static bool started;

	if (!started) {
		assert(uv_loop_init(&loop) == 0);
		hub_init(&hub, &loop, nothing_waits, NULL);
		assert(arena_init(arena, "fuzz", &budget) == 0);
		started = true;
	}
	return &hub;
}

/* What a worker can write. */

static void send_message(struct input *in)
{
	struct message *m = &world.link->to_server.entries[world.tail % RING_SIZE];

	m->kind = (uint32_t)take(in, 1) % (LINK_UNLOADED + 2);
	m->slot = (uint32_t)take(in, 1);
	m->slot = m->slot < 250 ? m->slot : (uint32_t)take(in, 4);
	m->size = take(in, 2);
	m->extra = take(in, 1);
	atomic_store(&world.link->to_server.tail, ++world.tail);
}

static void scribble(struct input *in)
{
	size_t at = (size_t)take(in, 3) % sizeof(*world.link), n = (size_t)take(in, 1);
	char *link = (char *)world.link;

	for (; n && at < sizeof(*world.link); n--)
		link[at++] = (char)take(in, 1);
}

static void leave_crash(struct input *in)
{
	struct crash *c = &world.link->crash;

	memset(c, (int)take(in, 1), sizeof(*c));
	c->n_frames = (uint32_t)take(in, 4);
	c->n_modules = (uint32_t)take(in, 4);
	atomic_store(&c->state, CRASH_COMPLETE);
}

/* What the server does. */

static void submit(struct input *in)
{
	size_t i = (size_t)take(in, 1) % N_CALLS;

	if (world.submitted[i])
		return;
	world.submitted[i] = true;
	if (replica_call(world.replica, 64 * (i + 1), &world.submitted[i]) == 0)
		world.n_submitted++;
	else
		world.submitted[i] = false;
}

static void load(void)
{
	world.n_loads++;
	replica_load(world.replica, &(struct replica_image){ .path = "/image.so" });
}

static void swap(struct input *in)
{
	world.n_swaps++;
	replica_swap(world.replica, (uint32_t)take(in, 1), "/state");
}

static void step(struct hub *hub, struct input *in)
{
	struct replica *r = world.replica;

	switch (take(in, 1) % 16) {
	case 0: case 1: case 2: case 3: send_message(in); break;
	case 4: case 5: submit(in); break;
	case 6: load(); break;
	case 7: swap(in); break;
	case 8: replica_drain(r); break;
	case 9: scribble(in); break;
	case 10: atomic_store(&world.link->to_server.tail, (uint32_t)take(in, 4)); break;
	case 11: atomic_store(&world.link->to_worker.head, (uint32_t)take(in, 4)); break;
	case 12: leave_crash(in); break;
	case 13: replica_flush(r); break;
	case 14: uv_run(hub->loop, UV_RUN_NOWAIT); break;
	case 15: take(in, 1) % 8 ? replica_drop(r) : replica_stop(r, 1000); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct arena arena;
	struct hub *hub = start_hub(&arena);
	struct input in = { bytes, bytes + size };
	struct child_end end = { .signal = (int)take(&in, 1) % 65, .code = (int)take(&in, 1) };

	world = (struct world){ .died = false };
	assert(replica_start(hub, &(struct replica_options){ .name = "fuzz", .arena = &arena,
							     .callbacks = &callbacks, .context = &world },
			     &world.replica) == 0);
	world.link = replica_shared(world.replica);
	while (in.at < in.end)
		step(hub, &in);
	replica_ended(world.replica, &end);
	assert(world.died && world.n_ended == world.n_submitted);
	assert(hub->n_in_flight == 0 && !hub->replicas);
	uv_run(hub->loop, UV_RUN_NOWAIT); /* closes its handles */
	return 0;
}
