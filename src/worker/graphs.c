/* SPDX-License-Identifier: MIT */

/*
 * The first call of a shape runs as it is: it loads what is loaded late (kernels, cuBLAS' plans), and
 * the pool grows to what it needs. The second is captured, so that nothing of that happens then.
 *
 * A graph knows addresses, so it is launched only where each of them means the same as when it was
 * captured: the tensors lie where they lay, and the pool, in which its scratch memory is, hasn't
 * changed its blocks. The pool takes pieces one after the other, so calls of one shape find the same
 * places, and what another call wrote there meanwhile is of no matter to one that begins anew.
 *
 * A capture must not meet a load, an unload or a wait of the control thread. It is the capture that
 * gives way: if the control thread is busy, the call runs as it is and a later one is captured.
 */

#include "worker/graphs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cuda/device.h"
#include "worker/blame.h"
#include "worker/gpu.h"
#include "worker/host.h"
#include "worker/lane.h"

#define MAX_GRAPHS 32 /* of an image: each takes some memory of the GPU */
#define TENSOR_WORDS (1 + DEVSERVE_MAX_RANK)
#define MAX_WORDS (4 + 2 * DEVSERVE_MAX_TENSORS * TENSOR_WORDS)

struct key { /* extents of all tensors whose shape is known before infer(), what create() left, the flight, a trial */
	size_t n;
	int64_t words[MAX_WORDS];
};

struct place { /* of a tensor; of an output that infer() gave its shape: with it */
	uint64_t at;
	bool is_late;
	uint32_t rank;
	int64_t shape[DEVSERVE_MAX_RANK];
};

struct graph {
	int64_t *key; /* NULL: none */
	size_t n_key;
	cuda_graph_exec exec; /* NULL: its call ran once, and is to be captured */
	struct place in[DEVSERVE_MAX_TENSORS], out[DEVSERVE_MAX_TENSORS];
	uint64_t pool; /* its n_changes */
	struct blame blame;
	uint64_t used; /* when */
};

struct graphs {
	const struct device *device;
	struct graph graphs[MAX_GRAPHS];
	struct key key; /* of the call */
	uint64_t n_calls;
};

static pthread_mutex_t quiet = PTHREAD_MUTEX_INITIALIZER;

void graphs_hold(void)
{
	pthread_mutex_lock(&quiet);
}

void graphs_let_go(void)
{
	pthread_mutex_unlock(&quiet);
}

/* The table */

struct graphs *graphs_new(const struct device *d)
{
	struct graphs *s = xcalloc(1, sizeof(*s));

	s->device = d;
	return s;
}

static void drop(const struct graphs *s, struct graph *g)
{
	if (g->exec)
		s->device->driver->graph_exec_destroy(g->exec);
	g->exec = NULL;
}

void graphs_forget(struct graphs *s)
{
	for (size_t i = 0; s && i < MAX_GRAPHS; i++)
		drop(s, &s->graphs[i]);
}

struct graphs *graphs_free(struct graphs *s)
{
	graphs_forget(s);
	for (size_t i = 0; s && i < MAX_GRAPHS; i++)
		free(s->graphs[i].key);
	free(s);
	return NULL;
}

static void put(struct key *k, int64_t word)
{
	k->words[k->n++] = word;
}

static void put_shape(struct key *k, const struct devserve_tensor *t)
{
	put(k, t->rank);
	for (uint32_t i = 0; i < t->rank; i++)
		put(k, t->shape[i]);
}

static void make_key(struct key *k, const struct devserve_call *call)
{
	k->n = 0;
	put(k, call->batch);
	put(k, (intptr_t)call->self);
	put(k, invocation_is_poisoned(call)); /* then that is queued, too */
	put(k, lane_own()->flight - lane_own()->flights); /* each has memory of its own */
	for (uint32_t i = 0; i < call->n_in; i++)
		put_shape(k, &call->in[i]);
	for (uint32_t i = 0; i < call->n_out; i++)
		if (call->out[i].data)
			put_shape(k, &call->out[i]);
}

static bool has_key(const struct graph *g, const struct key *k)
{
	return g->key && g->n_key == k->n && memcmp(g->key, k->words, k->n * sizeof(*k->words)) == 0;
}

/* In the place of the one that wasn't used for longest. */
static struct graph *add(struct graphs *s)
{
	struct graph *g = &s->graphs[0];

	for (size_t i = 1; i < MAX_GRAPHS; i++)
		if (s->graphs[i].used < g->used)
			g = &s->graphs[i];
	drop(s, g);
	g->n_key = s->key.n;
	g->key = xrealloc(g->key, g->n_key * sizeof(*g->key));
	memcpy(g->key, s->key.words, g->n_key * sizeof(*g->key));
	return g;
}

/* NULL: no call of its shapes has been yet. */
static struct graph *find(struct graphs *s, const struct devserve_call *call)
{
	make_key(&s->key, call);
	s->n_calls++;
	for (size_t i = 0; i < MAX_GRAPHS; i++)
		if (has_key(&s->graphs[i], &s->key)) {
			s->graphs[i].used = s->n_calls;
			return &s->graphs[i];
		}
	return NULL;
}

/* What it was captured from */

/* Before infer(): where the tensors are, and which outputs aren't anywhere yet. */
static void note_places(struct graph *g, const struct devserve_call *call)
{
	for (uint32_t i = 0; i < call->n_in; i++)
		g->in[i] = (struct place){ .at = (uintptr_t)call->in[i].data };
	for (uint32_t i = 0; i < call->n_out; i++)
		g->out[i] = (struct place){ .at = (uintptr_t)call->out[i].data, .is_late = !call->out[i].data };
}

/* After it. */
static void note_late(struct graph *g, const struct devserve_call *call)
{
	for (uint32_t i = 0; i < call->n_out; i++) {
		const struct devserve_tensor *t = &call->out[i];

		if (!g->out[i].is_late || !t->data)
			continue;
		g->out[i].at = (uintptr_t)t->data;
		g->out[i].rank = t->rank;
		memcpy(g->out[i].shape, t->shape, t->rank * sizeof(*t->shape));
	}
}

static bool is_as_captured(const struct graph *g, const struct devserve_call *call)
{
	if (g->pool != lane_own()->flight->pool.n_changes)
		return false;
	for (uint32_t i = 0; i < call->n_in; i++)
		if (g->in[i].at != (uintptr_t)call->in[i].data)
			return false;
	for (uint32_t i = 0; i < call->n_out; i++)
		if (!g->out[i].is_late && g->out[i].at != (uintptr_t)call->out[i].data)
			return false;
	return true;
}

/* Give outputs the shapes and places that infer() gave them. */
static int make_outputs(const struct graph *g, const struct devserve_call *call)
{
	struct lane_state *l = lane_own();
	const void *at = call;

	for (uint32_t i = 0; i < call->n_out && at; i++) {
		if (!g->out[i].is_late || !g->out[i].at)
			continue;
		l->place = g->out[i].at;
		at = call->host->output(call, i, g->out[i].shape, g->out[i].rank);
		l->place = 0;
	}
	return at ? 0 : -1;
}

/* Capturing */

static const char *unfit(const struct gpu *g, const struct devserve_call *call)
{
	for (uint32_t i = 0; i < call->n_in; i++)
		if (!gpu_has_input(g, i, call->in[i].dtype))
			return "an input stays in the host's memory";
	for (uint32_t i = 0; i < call->n_out; i++)
		if (!gpu_has_output(g, i, call->out[i].dtype))
			return "an output stays in the host's memory";
	return NULL;
}

static void spoil(const struct gpu *g, cuda_result r)
{
	char text[200];

	if (driver_is_sticky(r))
		lane_own()->fault = r;
	driver_describe(g->device->driver, r, text, sizeof(text));
	lane_spoils(text);
}

static int record(struct gpu *g, int (*infer)(const struct devserve_call *call), cuda_graph *ret)
{
	const struct driver *d = g->device->driver;
	struct lane_state *l = lane_own();
	char text[64];
	cuda_result r;
	int failed;

	r = d->capture_begin(lane_stream(g), CUDA_CAPTURE_THREAD_LOCAL);
	if (r != 0) {
		spoil(g, r);
		return -1;
	}
	failed = infer(l->flight->call);
	r = d->capture_end(lane_stream(g), ret);
	if (failed) {
		snprintf(text, sizeof(text), "infer() returned %d then, and 0 without", failed);
		lane_spoils(text);
	}
	if (r != 0)
		spoil(g, r);
	return l->spoiled[0] ? -1 : 0;
}

static int instantiate(struct gpu *g, struct graph *graph, cuda_graph from)
{
	cuda_graph_exec exec;
	cuda_result r = g->device->driver->graph_instantiate(&exec, from, 0);

	if (r == 0) {
		graph->exec = exec;
		r = g->device->driver->graph_launch(exec, lane_stream(g));
	}
	if (r == 0)
		return 0;
	spoil(g, r);
	return -1;
}

/* -1: it could not be captured, and l->spoiled says why. */
static int capture(struct gpu *g, struct graph *graph, int (*infer)(const struct devserve_call *call))
{
	struct lane_state *l = lane_own();
	cuda_graph captured = NULL;
	int r;

	drop(g->graphs, graph);
	note_places(graph, l->flight->call);
	l->spoiled[0] = '\0';
	l->captures = true;
	r = record(g, infer, &captured);
	if (r == 0)
		r = instantiate(g, graph, captured);
	l->captures = false;
	if (captured)
		g->device->driver->graph_destroy(captured);
	note_late(graph, l->flight->call);
	graph->pool = l->flight->pool.n_changes;
	graph->blame = l->flight->blame;
	return r;
}

static void give_up(struct gpu *g, const char *why)
{
	host_table()->log(host_table(), DEVSERVE_WARNING, "infer() cannot be replayed as a CUDA graph: %s. It goes on "
			  "without .graphs", why);
	g->graphs = graphs_free(g->graphs);
}

/*
 * As if there had never been graphs. CUDA's runtime, if the image has one of its own, may still hold an
 * error of the capture until somebody has asked for it, and would fail the next that asks.
 */
static int run_without(struct gpu *g, int (*infer)(const struct devserve_call *call), const char *why)
{
	struct lane_state *l = lane_own();
	int r = -1;

	if (l->fault)
		return -EIO;
	give_up(g, why);
	for (int i = 0; i < 2 && r != 0; i++) {
		invocation_again(l->flight->call);
		l->flight->blame.n = 0;
		r = infer(l->flight->call);
	}
	return r;
}

static int replay(struct gpu *g, const struct graph *graph, int (*infer)(const struct devserve_call *call))
{
	struct lane_state *l = lane_own();
	char why[200];
	cuda_result r;

	if (make_outputs(graph, l->flight->call) < 0)
		return -1;
	l->flight->blame = graph->blame;
	r = g->device->driver->graph_launch(graph->exec, lane_stream(g));
	if (r == 0)
		return 0;
	if (driver_is_sticky(r))
		return lane_tell(g, r, "the GPU failed");
	driver_describe(g->device->driver, r, why, sizeof(why));
	return run_without(g, infer, why);
}

int graphs_infer(struct gpu *g, int (*infer)(const struct devserve_call *call))
{
	struct lane_state *l = lane_own();
	const char *why = unfit(g, l->flight->call);
	struct graph *graph = why ? NULL : find(g->graphs, l->flight->call);
	int r;

	if (why) {
		give_up(g, why);
		return infer(l->flight->call);
	}
	if (graph && graph->exec && is_as_captured(graph, l->flight->call))
		return replay(g, graph, infer);
	if (!graph || pthread_mutex_trylock(&quiet) != 0) {
		r = infer(l->flight->call);
		if (!graph && r == 0)
			add(g->graphs)->used = g->graphs->n_calls;
		return r;
	}
	r = capture(g, graph, infer);
	pthread_mutex_unlock(&quiet);
	return r == 0 ? 0 : run_without(g, infer, l->spoiled);
}
