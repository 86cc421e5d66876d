/* SPDX-License-Identifier: MIT */

/*
 * The call is made here as the server makes it (deploy/call.c, deploy/outputs.c): outputs whose
 * shape is known before get their place, all others are cut from what follows, the spill. So
 * no answer is waited for: the room is as large as outputs may be, and the same pages are used
 * again and again. Images with a GPU get their inputs copied into the room, for pinned memory
 * is one area.
 */

#include "worker/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <devserve/deployment.h>

#include "base/memory.h"
#include "infer/dtype.h"
#include "infer/tensor.h"
#include "worker/crash.h"
#include "worker/gpu.h"
#include "worker/host.h"
#include "worker/image.h"

#define ROOM (UINT64_C(4) << 30) /* addresses; memory where outputs come to lie */
#define SMALLEST_ROOM (UINT64_C(64) << 20) /* where the system counts addresses as memory */
#define ALIGN UINT64_C(64)

struct rehearsal {
	struct invocation *invocation;
	char *room;
	uint64_t room_size;
	uint64_t used;    /* of the room, by this call; never 0, which means no memory */
	const char *base; /* of the recordings */
	size_t size;
	struct call *call;
	bool times;
	const struct recording *brought; /* whose inputs lie in the room; NULL: not known */
};

static void *refuse_need(void *context, uint32_t slot, uint64_t size)
{
	(void)context, (void)slot, (void)size;
	return NULL; /* the spill is all there is */
}

static bool make_room(struct rehearsal *r)
{
	for (r->room_size = ROOM; r->room_size >= SMALLEST_ROOM; r->room_size /= 2) {
		r->room = mmap(NULL, r->room_size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (r->room != MAP_FAILED)
			return true;
	}
	return false;
}

struct rehearsal *rehearsal_new(void)
{
	struct rehearsal *r = xcalloc(1, sizeof(*r));

	if (!make_room(r)) {
		free(r);
		return NULL;
	}
	madvise(r->room, r->room_size, MADV_DONTDUMP);
	r->call = xcalloc(1, sizeof(*r->call) + 2 * DEVSERVE_MAX_TENSORS * sizeof(*r->call->tensors));
	r->invocation = invocation_new(refuse_need, NULL);
	return r;
}

struct rehearsal *rehearsal_free(struct rehearsal *r)
{
	if (!r)
		return NULL;
	invocation_free(r->invocation);
	gpu_unpin(r->room);
	munmap(r->room, r->room_size);
	free(r->call);
	free(r);
	return NULL;
}

int rehearsal_map(const char *path, const char **ret, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), e;
	struct stat st;
	void *map;

	if (fd < 0)
		return -errno;
	map = fstat(fd, &st) < 0 ? MAP_FAILED :
				   mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	e = errno;
	close(fd);
	if (map == MAP_FAILED)
		return -e;
	madvise(map, (size_t)st.st_size, MADV_DONTFORK);
	madvise(map, (size_t)st.st_size, MADV_DONTDUMP);
	*ret = map;
	*ret_size = (size_t)st.st_size;
	return 0;
}

void rehearsal_attach(struct rehearsal *r, const char *base, size_t size)
{
	r->base = base;
	r->size = size;
	r->brought = NULL;
}

void rehearsal_poison(struct rehearsal *r, bool yes)
{
	invocation_poison(r->invocation, yes);
}

void rehearsal_time(struct rehearsal *r, bool yes)
{
	r->times = yes;
	invocation_time(r->invocation, yes);
}

/* Whether the request is one */

static int refuse(struct rehearsal *r, const char *what, const char *name)
{
	snprintf(r->call->error, sizeof(r->call->error), "%s \"%s\" is declared otherwise now", what, name);
	return REHEARSAL_E_FOREIGN;
}

static uint32_t rank_of(const struct devserve_port *port)
{
	uint32_t rank = 0;

	while (rank < DEVSERVE_MAX_RANK && port->shape[rank])
		rank++;
	return rank;
}

static bool input_fits(const struct devserve_port *port, const struct call_tensor *t, uint32_t front)
{
	if (t->dtype != port->dtype || t->rank != rank_of(port) + front)
		return false;
	for (uint32_t i = front; i < t->rank; i++)
		if (port->shape[i - front] > 0 && t->shape[i] != port->shape[i - front])
			return false;
	return true;
}

static int check(struct rehearsal *r, const struct image *image, const struct recording *rec)
{
	const struct devserve_deployment *e = image->entry;
	uint32_t front = e->max_batch_size ? 1 : 0;

	if (rec->n_in != image->n_in)
		return refuse(r, "the list of inputs before", rec->n_in < image->n_in ? e->inputs[rec->n_in].name : "…");
	for (uint32_t i = 0; i < rec->n_in; i++)
		if (!input_fits(&e->inputs[i], &rec->tensors[i], front) ||
		    (front && rec->tensors[i].shape[0] != rec->batch))
			return refuse(r, "input", e->inputs[i].name);
	if (front && rec->batch > e->max_batch_size)
		return refuse(r, "a batch as large as that of", e->inputs[0].name);
	return 0;
}

/* Making the call */

/* @size bytes of the room, and a canary; 0: there is no more. */
static uint64_t take_room(struct rehearsal *r, uint64_t size)
{
	uint64_t at = r->used, room;

	if (size >= r->room_size - at)
		return 0;
	room = (size + 1 + ALIGN - 1) / ALIGN * ALIGN;
	if (room > r->room_size - at)
		return 0;
	r->used += room;
	return at;
}

static bool is_fixed(const struct devserve_port *port)
{
	for (uint32_t i = 0; i < DEVSERVE_MAX_RANK && port->shape[i]; i++)
		if (port->shape[i] < 0)
			return false;
	return true;
}

/* As far as the shape of output @i is known before infer() has run. */
static bool know_shape(const struct devserve_deployment *e, const struct recording *rec, uint32_t i,
		       struct call_tensor *ret)
{
	uint32_t front = e->max_batch_size ? 1 : 0;
	const struct devserve_port *port = &e->outputs[i];

	if (e->shape == DEVSERVE_SAME_SHAPE) {
		ret->rank = rec->tensors[i].rank;
		memcpy(ret->shape, rec->tensors[i].shape, sizeof(ret->shape));
	} else if (is_fixed(port)) {
		ret->rank = rank_of(port) + front;
		for (uint32_t k = front; k < ret->rank; k++)
			ret->shape[k] = port->shape[k - front];
	} else {
		return false;
	}
	if (front)
		ret->shape[0] = rec->batch;
	return true;
}

/* 0 or -ENOMEM. */
static int make_output(struct rehearsal *r, const struct devserve_deployment *e, const struct recording *rec,
		       uint32_t i)
{
	struct call_tensor *t = &r->call->tensors[rec->n_in + i];
	int64_t n;

	*t = (struct call_tensor){ .dtype = e->outputs[i].dtype };
	if (!know_shape(e, rec, i, t) || t->dtype == DEVSERVE_BYTES)
		return 0;
	n = tensor_elements(t->shape, t->rank);
	if (n < 0 || __builtin_mul_overflow((uint64_t)n, dtype_size(t->dtype), &t->size))
		return -ENOMEM;
	t->offset = take_room(r, t->size);
	return t->offset ? 0 : -ENOMEM;
}

/* To the same place each time: what is timed is brought once. 0 or -ENOMEM. */
static int bring_inputs(struct rehearsal *r, const struct recording *rec)
{
	for (uint32_t i = 0; i < r->call->n_in; i++) {
		struct call_tensor *t = &r->call->tensors[i];
		uint64_t at = take_room(r, t->size);

		if (!at)
			return -ENOMEM;
		if (!r->times || r->brought != rec)
			memcpy(r->room + at, r->base + t->offset, t->size);
		t->offset = at;
	}
	r->brought = rec;
	return 0;
}

static int make_call(struct rehearsal *r, const struct image *image, const struct recording *rec)
{
	struct call *c = r->call;
	int e = 0;

	r->used = ALIGN;
	*c = (struct call){ .n_in = rec->n_in, .n_out = image->n_out, .batch = rec->batch };
	memcpy(c->tensors, rec->tensors, rec->n_in * sizeof(*c->tensors));
	if (image->gpu)
		e = bring_inputs(r, rec);
	for (uint32_t i = 0; i < image->n_out && e == 0; i++)
		e = make_output(r, image->entry, rec, i);
	c->spill_offset = r->used;
	c->spill_size = r->room_size - r->used;
	return e;
}

int rehearsal_run(struct rehearsal *r, const struct image *image, const struct recording *rec)
{
	const char *damage;
	int e = check(r, image, rec);

	if (e != 0)
		return e;
	e = make_call(r, image, rec);
	if (e < 0) {
		r->call->status = e;
		r->call->error_size = (uint32_t)snprintf(r->call->error, sizeof(r->call->error),
							 "no memory for the outputs");
		return 0;
	}
	invocation_attach(r->invocation, r->room, image->gpu ? r->room : r->base, r->room_size);
	invocation_set_inputs(r->invocation, image->gpu ? r->room : r->base, image->gpu ? r->room_size : r->size);
	damage = invocation_run(r->invocation, image, r->call, 0);
	if (damage)
		crash_end(damage, (uintptr_t)image->entry->infer);
	return 0;
}

const struct devserve_call *rehearsal_view(const struct rehearsal *r)
{
	return invocation_view(r->invocation);
}

const struct call *rehearsal_call(const struct rehearsal *r)
{
	return r->call;
}

const void *rehearsal_output(const struct rehearsal *r, uint32_t i)
{
	return r->room + r->call->tensors[r->call->n_in + i].offset;
}
