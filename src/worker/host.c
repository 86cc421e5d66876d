/* SPDX-License-Identifier: MIT */

/*
 * The spill is memory of the call that the server guessed from earlier answers; outputs are
 * cut from it one after the other. Only when it doesn't suffice the server is asked, which
 * costs two wake-ups. BYTES elements are collected in private memory first, since only the
 * end of infer() tells how long they are together. Other outputs are computed where a byte
 * too many is noticed (guard.h), and reach the arena when infer() has succeeded.
 */

#include "worker/host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "worker/gpu.h"
#include "worker/gpu_guard.h"
#include "worker/gpu_time.h"
#include "worker/guard.h"
#include "worker/image.h"
#include "worker/threads.h"
#include "worker/weights.h"

#define POISON 0xff /* NaN in each floating datatype, -1 in integers */

struct invocation {
	char *arena;
	const char *inputs;
	size_t arena_size;
	struct guard *guard;
	struct gpu *gpu; /* of the call's image, or NULL */
	host_need_fn need;
	void *need_context;

	struct call *call;
	uint32_t slot;
	const struct devserve_port *ports; /* outputs as declared */
	uint32_t max_batch_size;
	uint64_t spilled; /* bytes of the spill that are used */
	struct devserve_tensor in[DEVSERVE_MAX_TENSORS];
	struct devserve_tensor out[DEVSERVE_MAX_TENSORS];
	struct buffer bytes[DEVSERVE_MAX_TENSORS];
	uint64_t n_appended[DEVSERVE_MAX_TENSORS];
	char *places[DEVSERVE_MAX_TENSORS]; /* of outputs in the arena, or NULL */
	int unready; /* why infer() can't be called: a negative errno; 0: it can */
	bool placed[DEVSERVE_MAX_TENSORS]; /* the server chose its memory: its shape is settled */
	bool times; /* calls on the GPU, by its own clock */
	bool poisons, poisoned[DEVSERVE_MAX_TENSORS];
	char damage[CALL_ERROR_SIZE - sizeof("infer() ")];
	const struct image *image; /* that runs it */
	unsigned flight;           /* on the GPU */
	bool overlaps;             /* with others there */
	uint64_t started_ns;
	int outcome; /* of infer(), and of queueing */
	struct devserve_call view;
};

static const uint8_t sizes[] = {
	[DEVSERVE_BOOL] = 1,   [DEVSERVE_UINT8] = 1, [DEVSERVE_UINT16] = 2, [DEVSERVE_UINT32] = 4,
	[DEVSERVE_UINT64] = 8, [DEVSERVE_INT8] = 1,  [DEVSERVE_INT16] = 2,  [DEVSERVE_INT32] = 4,
	[DEVSERVE_INT64] = 8,  [DEVSERVE_FP16] = 2,  [DEVSERVE_FP32] = 4,   [DEVSERVE_FP64] = 8,
	[DEVSERVE_BYTES] = 0,  [DEVSERVE_BF16] = 2,
};

static int host_fail(const struct devserve_call *view, int error, const char *format, ...)
{
	struct invocation *v = view->context;
	va_list args;
	int n;

	if (v->call->error_size == 0) {
		va_start(args, format);
		n = vsnprintf(v->call->error, CALL_ERROR_SIZE, format, args);
		va_end(args);
		v->call->error_size = n < 0 ? 0 : n < CALL_ERROR_SIZE ? (uint32_t)n : CALL_ERROR_SIZE - 1;
	}
	return error > 0 ? -error : error;
}

static _Thread_local char *captured;
static _Thread_local size_t captured_size;

void host_capture(char *sentence, size_t size)
{
	captured = sentence;
	captured_size = size;
}

/* A line for the server: level in front, which it takes off again. */
static void host_log(const struct devserve_host *host, int level, const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	(void)host;
	line[0] = '\001';
	line[1] = (char)('0' + (level < 0 ? 0 : level > DEVSERVE_ERROR ? DEVSERVE_ERROR : level));
	va_start(args, format);
	n = vsnprintf(line + 2, sizeof(line) - 3, format, args);
	va_end(args);
	if (n < 0)
		return;
	if (captured && level == DEVSERVE_ERROR) { /* it is told as the reason */
		snprintf(captured, captured_size, "%s", line + 2);
		return;
	}
	n = n < (int)sizeof(line) - 3 ? n + 2 : (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody listens: nothing that a deployment could do */
}

static const void *host_extension(const struct devserve_host *host, const char *id)
{
	(void)host;
	if (strcmp(id, "devserve.weights/1") == 0)
		return weights_extension();
	if (strcmp(id, DEVSERVE_CUDA_ID) == 0)
		return gpu_extension();
	return NULL;
}

static void *allocate(struct invocation *v, uint64_t size)
{
	uint64_t rounded = (size + 63) & ~UINT64_C(63);

	if (rounded < size)
		return NULL;
	if (rounded <= v->call->spill_size - v->spilled) {
		char *p = v->arena + v->call->spill_offset + v->spilled;

		v->spilled += rounded;
		return p;
	}
	return v->need(v->need_context, v->slot, rounded);
}

/* Extents of output @index, the batch's included. */
static uint32_t declared_rank(const struct invocation *v, uint32_t index)
{
	uint32_t rank = 0;

	while (rank < DEVSERVE_MAX_RANK && v->ports[index].shape[rank])
		rank++;
	return rank + (v->max_batch_size ? 1 : 0);
}

/* Whether @shape is one that output @index was declared with. */
static bool fits(const struct invocation *v, uint32_t index, const int64_t *shape, uint32_t rank)
{
	const struct devserve_port *port = &v->ports[index];
	uint32_t batch = v->max_batch_size ? 1 : 0;

	if (rank != declared_rank(v, index) || (batch && shape[0] != v->view.batch))
		return false;
	for (uint32_t i = batch; i < rank; i++)
		if (shape[i] < 0 || (port->shape[i - batch] > 0 && shape[i] != port->shape[i - batch]))
			return false;
	return true;
}

static bool bytes_of(const int64_t *shape, uint32_t rank, uint32_t dtype, uint64_t *ret)
{
	uint64_t size = sizes[dtype];

	for (uint32_t i = 0; i < rank; i++)
		if (__builtin_mul_overflow(size, (uint64_t)shape[i], &size))
			return false;
	*ret = size;
	return size <= INT64_MAX;
}

static const char *describe(const int64_t *shape, uint32_t rank, char *ret, size_t size)
{
	size_t at = 0;

	for (uint32_t i = 0; i < rank && i < DEVSERVE_MAX_RANK && at < size; i++)
		at += (size_t)snprintf(ret + at, size - at, "%s%lld", i ? "," : "", (long long)shape[i]);
	return at ? ret : "";
}

/* NULL: the sentence is kept. */
static void *place_on_gpu(struct invocation *v, uint32_t index, uint64_t size)
{
	v->out[index].device = 2; /* kDLCUDA */
	return v->poisons ? gpu_guard_make(v->gpu, index, size, POISON) : gpu_make(v->gpu, size);
}

/* Where infer() is to compute the output that belongs to v->places. NULL: the sentence is kept. */
static void *place_output(struct invocation *v, uint32_t index, uint64_t size)
{
	struct devserve_tensor *t = &v->out[index];

	if (gpu_has_output(v->gpu, index, t->dtype)) {
		t->data = place_on_gpu(v, index, size);
	} else {
		t->data = guard_output(v->guard, index, v->places[index], size);
		if (v->poisons && !v->poisoned[index])
			memset(t->data, POISON, size);
		v->poisoned[index] = true;
	}
	return t->data;
}

static void *host_output(const struct devserve_call *view, uint32_t index, const int64_t *shape,
			 uint32_t rank)
{
	struct invocation *v = view->context;
	char got[96] = "", declared[96] = "";
	struct call_tensor *t;
	uint64_t size;

	if (index >= view->n_out) {
		host_fail(view, EIO, "devserve_make() or devserve_output() for output %u: there is no such output", index);
		return NULL;
	}
	if (rank > DEVSERVE_MAX_RANK || !fits(v, index, shape, rank)) {
		host_fail(view, EIO, "output \"%s\": the shape [%s] contradicts the declaration, %s[%s]",
			  v->ports[index].name, describe(shape, rank, got, sizeof(got)),
			  v->max_batch_size ? "batch and " : "",
			  describe(v->ports[index].shape, declared_rank(v, index) - (v->max_batch_size ? 1 : 0),
				   declared, sizeof(declared)));
		return NULL;
	}
	t = &v->call->tensors[v->call->n_in + index];
	if (v->placed[index]) {
		if (rank == t->rank && memcmp(shape, t->shape, rank * sizeof(*shape)) == 0)
			return v->out[index].data;
		host_fail(view, EIO, "output \"%s\": its shape was settled before the call", v->ports[index].name);
		return NULL;
	}
	if (!bytes_of(shape, rank, t->dtype, &size)) {
		host_fail(view, EIO, "output \"%s\": its size overflows", v->ports[index].name);
		return NULL;
	}
	memcpy(t->shape, shape, rank * sizeof(*shape));
	t->rank = rank;
	v->out[index].rank = rank;
	if (t->dtype == DEVSERVE_BYTES)
		return v->arena; /* not NULL; elements come by devserve_append() */
	if (size > v->out[index].size || !v->places[index])
		v->places[index] = allocate(v, size + 1); /* and a canary */
	if (!v->places[index]) {
		host_fail(view, ENOMEM, "no memory for %llu bytes of output \"%s\"",
			  (unsigned long long)size, v->ports[index].name);
		return NULL;
	}
	v->out[index].size = t->size = size;
	t->offset = (uint64_t)(v->places[index] - v->arena);
	return place_output(v, index, size);
}

static int host_append(const struct devserve_call *view, uint32_t index, const void *bytes, size_t size)
{
	struct invocation *v = view->context;
	uint8_t prefix[4] = { (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
			      (uint8_t)(size >> 24) };

	if (index >= view->n_out || v->out[index].dtype != DEVSERVE_BYTES || size > UINT32_MAX)
		return host_fail(view, EIO, "devserve_append(%u): not a BYTES output", index);
	buffer_append(&v->bytes[index], prefix, 4);
	buffer_append(&v->bytes[index], bytes, size);
	v->n_appended[index]++;
	return 0;
}

static const struct devserve_host table = {
	.struct_size = sizeof(struct devserve_host),
	.abi_major = DEVSERVE_ABI_MAJOR,
	.abi_minor = DEVSERVE_ABI_MINOR,
	.log = host_log,
	.extension = host_extension,
	.output = host_output,
	.append = host_append,
	.fail = host_fail,
};

const struct devserve_host *host_table(void)
{
	return &table;
}

struct invocation *invocation_new(host_need_fn need, void *context)
{
	struct invocation *v = xcalloc(1, sizeof(*v));

	v->need = need;
	v->need_context = context;
	v->view = (struct devserve_call){
		.struct_size = sizeof(struct devserve_call),
		.in = v->in,
		.out = v->out,
		.host = &table,
		.context = v,
	};
	v->guard = guard_new(&v->view);
	return v;
}

void invocation_attach(struct invocation *v, char *arena, const char *inputs, size_t size)
{
	v->arena = arena;
	v->inputs = inputs;
	v->arena_size = size;
	guard_set_inputs(v->guard, inputs, size);
}

void invocation_set_inputs(struct invocation *v, const char *inputs, size_t size)
{
	v->inputs = inputs;
	guard_set_inputs(v->guard, inputs, size);
}

void invocation_poison(struct invocation *v, bool yes)
{
	v->poisons = yes;
}

void invocation_time(struct invocation *v, bool yes)
{
	v->times = yes;
}

struct invocation *invocation_free(struct invocation *v)
{
	if (!v)
		return NULL;
	guard_free(v->guard);
	for (unsigned i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		buffer_fini(&v->bytes[i]);
	free(v);
	return NULL;
}

static void view_tensor(struct devserve_tensor *t, const struct call_tensor *from, const char *base,
			const char *name)
{
	*t = (struct devserve_tensor){
		.name = name,
		.data = from->offset ? (char *)base + from->offset : NULL,
		.shape = from->shape,
		.size = from->size,
		.rank = from->rank,
		.dtype = from->dtype,
		.device = 1, /* kDLCPU */
	};
}

/* Collected BYTES go to the arena. */
static int place_bytes(struct invocation *v, uint32_t i, struct call_tensor *t)
{
	uint64_t n = 1;
	char *p;

	for (uint32_t k = 0; k < t->rank; k++)
		n *= (uint64_t)t->shape[k];
	if (n != v->n_appended[i])
		return host_fail(&v->view, EIO,
				 "output \"%s\" has %llu elements by its shape, and %llu were appended",
				 v->ports[i].name, (unsigned long long)n, (unsigned long long)v->n_appended[i]);
	p = allocate(v, v->bytes[i].size ? v->bytes[i].size : 1);
	if (!p)
		return host_fail(&v->view, ENOMEM, "no memory for %zu bytes of output \"%s\"",
				 v->bytes[i].size, v->ports[i].name);
	memcpy(p, buffer_text(&v->bytes[i]), v->bytes[i].size);
	t->offset = (uint64_t)(p - v->arena);
	t->size = v->bytes[i].size;
	return 0;
}

/* An output that never got its shape is the plugin's mistake. */
static int finish_output(struct invocation *v, uint32_t i)
{
	struct call_tensor *t = &v->call->tensors[v->call->n_in + i];

	if (!v->placed[i] && t->rank != declared_rank(v, i))
		return host_fail(&v->view, EIO,
				 "output \"%s\" has free extents and infer() did not call "
				 "devserve_make() for it", v->ports[i].name);
	if (t->dtype == DEVSERVE_BYTES)
		return place_bytes(v, i, t);
	return 0;
}

static void view_input(struct invocation *v, uint32_t i, const char *name)
{
	struct devserve_tensor *t = &v->in[i];

	view_tensor(t, &v->call->tensors[i], v->inputs, name);
	if (t->data && v->unready == 0 && gpu_has_input(v->gpu, i, t->dtype))
		v->unready = gpu_bring(v->gpu, t, v->arena + v->call->tensors[i].offset);
	else if (t->data && !(t->data = guard_input(v->guard, i, t->data, t->size)))
		v->unready = -ENOMEM;
}

static void view_output(struct invocation *v, uint32_t i, const char *name)
{
	struct devserve_tensor *t = &v->out[i];

	view_tensor(t, &v->call->tensors[v->call->n_in + i], v->arena, name);
	v->places[i] = t->data;
	v->placed[i] = t->data != NULL;
	v->poisoned[i] = false;
	if (v->placed[i] && !place_output(v, i, t->size))
		v->unready = -ENOMEM;
	buffer_reset(&v->bytes[i]);
	v->n_appended[i] = 0;
}

static void view_call(struct invocation *v, const struct image *image, struct call *call, uint32_t slot)
{
	const struct devserve_deployment *entry = image->entry;

	v->call = call;
	v->slot = slot;
	v->spilled = 0;
	v->ports = entry->outputs;
	v->max_batch_size = entry->max_batch_size;
	v->view.n_in = call->n_in;
	v->view.n_out = call->n_out;
	v->view.batch = call->batch;
	v->view.self = image->self;
	guard_begin(v->guard);
	v->gpu = image->gpu;
	v->unready = 0;
	if (v->gpu)
		gpu_begin(v->gpu, &v->view, v->arena, v->arena_size, v->flight, v->overlaps);
	if (v->gpu && v->poisons)
		gpu_guard_begin();
	for (uint32_t i = 0; i < call->n_in; i++)
		view_input(v, i, entry->inputs[i].name);
	for (uint32_t i = 0; i < call->n_out; i++)
		view_output(v, i, entry->outputs[i].name);
	if (v->gpu && gpu_arrive(v->gpu) < 0 && v->unready == 0)
		v->unready = -EIO;
}

static bool is_timed(const struct invocation *v)
{
	return v->times && gpu_time_is_known(v->gpu);
}

static int compute(struct invocation *v, const struct image *image)
{
	int r = is_timed(v) ? gpu_time_start(v->gpu) : 0;

	if (r == 0)
		r = v->gpu ? gpu_infer(v->gpu, image->entry->infer) : image->entry->infer(&v->view);
	return r == 0 && is_timed(v) ? gpu_time_stop(v->gpu) : r;
}

/* The way back of the outputs. */
static int leave_gpu(struct invocation *v, int r)
{
	int e = gpu_compute(v->gpu), l;

	r = r == 0 ? e : r;
	for (uint32_t i = 0; i < v->call->n_out && r == 0 && !is_timed(v); i++)
		if (v->out[i].device == 2 && v->places[i])
			r = gpu_fetch(v->gpu, v->places[i], &v->out[i]);
	if (r == 0 && v->poisons)
		r = gpu_guard_look(v->gpu);
	l = gpu_leave_call(v->gpu);
	return r == 0 ? l : r;
}

static int finish(struct invocation *v, int r)
{
	if (v->damage[0])
		return -EIO;
	if (guard_is_damaged(v->guard, v->damage, sizeof(v->damage)))
		return -EIO;
	for (uint32_t i = 0; i < v->call->n_out && r == 0; i++)
		r = finish_output(v, i);
	if (r == 0)
		guard_collect(v->guard);
	return r;
}

void invocation_start(struct invocation *v, const struct image *image, struct call *call, uint32_t slot, unsigned flight,
		      bool overlaps)
{
	v->image = image;
	v->flight = flight;
	v->overlaps = overlaps;
	v->started_ns = clock_ns(); /* of a GPU: with the copies there and back */
	view_call(v, image, call, slot);
	v->damage[0] = '\0';
	threads_enter(image->threads);
	if (!v->gpu)
		v->started_ns = clock_ns();
	v->outcome = v->unready ? v->unready : compute(v, image);
	if (v->gpu)
		v->outcome = leave_gpu(v, v->outcome);
}

/* Since it began, or since the one before ended, which it had to let pass. */
static uint64_t compute_ns(const struct invocation *v)
{
	static uint64_t before_ns;
	uint64_t now = clock_ns(), since = v->overlaps && before_ns > v->started_ns ? before_ns : v->started_ns;

	before_ns = now;
	return now - since;
}

const char *invocation_end(struct invocation *v)
{
	struct call *call = v->call;
	int r = v->outcome, e;

	if (v->gpu) {
		e = gpu_end(v->gpu, v->flight, v->damage, sizeof(v->damage));
		if (r == 0 && e == 0 && v->poisons)
			gpu_guard_is_damaged(&v->view, v->damage, sizeof(v->damage));
		r = r == 0 ? e : r;
	}
	call->compute_ns = is_timed(v) && r == 0 ? gpu_time_ns() : compute_ns(v);
	threads_enter(NULL);
	r = finish(v, r);
	guard_end(v->guard);
	if (r > 0 && !call->error_size)
		host_fail(&v->view, EPROTO, "infer() returned %d; it must return 0, or a negative errno", r);
	call->status = r > 0 ? -EPROTO : r;
	return v->damage[0] ? v->damage : NULL;
}

const char *invocation_run(struct invocation *v, const struct image *image, struct call *call, uint32_t slot)
{
	invocation_start(v, image, call, slot, 0, false);
	return invocation_end(v);
}

bool invocation_is_poisoned(const struct devserve_call *view)
{
	const struct invocation *v = view->context;

	return v->poisons;
}

void invocation_again(const struct devserve_call *view)
{
	struct invocation *v = view->context;

	v->call->error_size = 0;
	for (uint32_t i = 0; i < view->n_out; i++)
		if (!v->placed[i]) {
			v->call->tensors[v->call->n_in + i].rank = 0;
			v->out[i].rank = 0;
			v->out[i].data = NULL;
			v->out[i].device = 1;
		}
}

const struct devserve_call *invocation_view(const struct invocation *v)
{
	return &v->view;
}
