/* SPDX-License-Identifier: MIT */
#include "ring/ring.h"

#include <errno.h>

void ring_init(struct ring *r, struct ring_shared *shared)
{
	*r = (struct ring){ .shared = shared };
}

int ring_put(struct ring *r, const struct message *m)
{
	uint32_t head = atomic_load_explicit(&r->shared->head, memory_order_acquire);
	uint32_t fill = r->mine - head;

	if (fill > RING_SIZE)
		return -EPROTO;
	if (fill == RING_SIZE)
		return -EAGAIN;
	r->shared->entries[r->mine % RING_SIZE] = *m;
	r->mine++;
	return 0;
}

void ring_publish(struct ring *r)
{
	atomic_store_explicit(&r->shared->tail, r->mine, memory_order_release);
}

bool ring_unpublished(const struct ring *r)
{
	return atomic_load_explicit(&r->shared->tail, memory_order_relaxed) != r->mine;
}

int ring_take(struct ring *r, struct message *ret)
{
	uint32_t tail = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
	uint32_t fill = tail - r->mine;

	if (fill == 0)
		return 0;
	if (fill > RING_SIZE)
		return -EPROTO;
	*ret = r->shared->entries[r->mine % RING_SIZE];
	r->mine++;
	return 1;
}

void ring_consume(struct ring *r)
{
	atomic_store_explicit(&r->shared->head, r->mine, memory_order_release);
}

bool ring_readable(const struct ring *r)
{
	return atomic_load_explicit(&r->shared->tail, memory_order_acquire) != r->mine;
}
