/* SPDX-License-Identifier: MIT */

/*
 * Blocks are powers of two times UNIT. Free blocks of an order form a list through two
 * arrays indexed by unit (not through the blocks, which workers can write). The smallest
 * orders keep up to N_KEPT blocks apart, uncoalesced: small requests come and go a hundred
 * thousand times a second, and splitting and joining is most of what they would cost.
 */

#include "replica/arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "ring/link.h"

#define UNIT_BITS 10
#define UNIT (UINT64_C(1) << UNIT_BITS)
#define N_ORDERS 48
#define N_KEPT_ORDERS 4
#define N_KEPT 256
#define SMALL (256 * 1024)
#define TRIM_ORDER 10 /* 1 MiB and more is given back when nothing happens */
#define NONE UINT32_MAX
#define FREE 0x80

struct arena_books {
	uint32_t n_units;
	unsigned top; /* order of the whole arena */
	uint32_t heads[N_ORDERS];
	uint32_t kept[N_KEPT_ORDERS][N_KEPT];
	unsigned n_kept[N_KEPT_ORDERS];
	uint8_t *state;  /* of a block's first unit: its order, | FREE in a list */
	uint32_t *next, *previous; /* in a free list; of a block in use: bytes asked for */
};

static void push_free(struct arena_books *b, uint32_t unit, unsigned order)
{
	b->state[unit] = (uint8_t)(order | FREE);
	b->next[unit] = b->heads[order];
	b->previous[unit] = NONE;
	if (b->heads[order] != NONE)
		b->previous[b->heads[order]] = unit;
	b->heads[order] = unit;
}

static void unlink_free(struct arena_books *b, uint32_t unit, unsigned order)
{
	if (b->previous[unit] != NONE)
		b->next[b->previous[unit]] = b->next[unit];
	else
		b->heads[order] = b->next[unit];
	if (b->next[unit] != NONE)
		b->previous[b->next[unit]] = b->previous[unit];
	b->state[unit] = (uint8_t)order;
}

/* Cut a block of @order from the smallest that is large enough. */
static uint32_t cut(struct arena_books *b, unsigned order)
{
	unsigned from = order;
	uint32_t unit;

	while (from <= b->top && b->heads[from] == NONE)
		from++;
	if (from > b->top)
		return NONE;
	unit = b->heads[from];
	unlink_free(b, unit, from);
	while (from > order) {
		from--;
		push_free(b, unit + (1u << from), from);
	}
	b->state[unit] = (uint8_t)order;
	return unit;
}

/* Give a block back, joined with its free buddies. */
static void join(struct arena_books *b, uint32_t unit, unsigned order)
{
	while (order < b->top) {
		uint32_t buddy = unit ^ (1u << order);

		if (b->state[buddy] != (order | FREE))
			break;
		unlink_free(b, buddy, order);
		unit = unit < buddy ? unit : buddy;
		order++;
	}
	push_free(b, unit, order);
}

static unsigned order_of(uint64_t size)
{
	uint64_t units = (size + UNIT - 1) >> UNIT_BITS;

	return units <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(units - 1);
}

uint64_t arena_most(const struct arena_budget *b)
{
	return b->limit - b->limit / 16;
}

/* Whether a block of @size may be had, of the budget's first @most bytes. */
static bool fits(const struct arena_budget *b, uint64_t size, uint64_t most)
{
	if (size <= SMALL)
		most = b->limit;
	return size <= most && b->used <= most - size;
}

static bool fits_after_all(struct arena_budget *b, uint64_t size, uint64_t most)
{
	if (fits(b, size, most))
		return true;
	if (!b->press || (size > most && size > SMALL))
		return false;
	b->press(b->context);
	return fits(b, size, most);
}

/*
 * Of the budget, the last eighth is left to small requests and to outputs, the last sixteenth to
 * small ones of both. Else a few clients that announce much and send it slowly, or ask for
 * much and take it slowly, would keep out all others, and what was received couldn't be run.
 */
static int check_request(struct arena_budget *b, uint64_t size)
{
	uint64_t most = b->limit - b->limit / 8;

	if (size > SMALL && size > most)
		return -EFBIG;
	return fits_after_all(b, size, most) ? 0 : -ENOMEM;
}

static int memory_reserve(struct infer_memory *m, size_t size, void **ret, uint64_t *ret_block)
{
	struct arena *a = container_of(m, struct arena, memory);
	int r = check_request(a->budget, size);
	uint64_t offset = r ? 0 : arena_reserve(a, size);

	if (!offset)
		return r ? r : -ENOMEM;
	*ret = a->base + offset;
	*ret_block = offset;
	return 0;
}

static void memory_release(struct infer_memory *m, uint64_t block)
{
	arena_release(container_of(m, struct arena, memory), block);
}

static int memory_charge(struct infer_memory *m, size_t size)
{
	struct arena_budget *b = container_of(m, struct arena, memory)->budget;

	int r = check_request(b, size);

	if (r == 0)
		b->used += size;
	return r;
}

static void memory_discharge(struct infer_memory *m, size_t size)
{
	container_of(m, struct arena, memory)->budget->used -= size;
}

static struct arena_books *books_new(uint64_t size)
{
	struct arena_books *b = xcalloc(1, sizeof(*b));

	b->n_units = (uint32_t)(size >> UNIT_BITS);
	b->top = order_of(size);
	for (unsigned i = 0; i < N_ORDERS; i++)
		b->heads[i] = NONE;
	b->state = xcalloc(b->n_units, 1);
	b->next = xcalloc(b->n_units, sizeof(uint32_t));
	b->previous = xcalloc(b->n_units, sizeof(uint32_t));
	push_free(b, 0, b->top);
	return b;
}

int arena_init(struct arena *a, const char *name, struct arena_budget *budget)
{
	uint64_t size = UINT64_C(1) << 20;
	void *map;
	int r;

	/* Rounding up to powers of two may waste half: twice the budget always has room for it. */
	while (size < 2 * budget->limit && size < UINT64_C(1) << 40)
		size *= 2;
	*a = (struct arena){ .fd = -1, .budget = budget, .size = size };
	r = link_memory(name, size, &a->fd, &map);
	if (r < 0)
		return r;
	a->base = map;
	a->memory.reserve = memory_reserve;
	a->memory.release = memory_release;
	a->memory.charge = memory_charge;
	a->memory.discharge = memory_discharge;
	a->books = books_new(size);
	cut(a->books, 0); /* offset 0 means "none" */
	return 0;
}

void arena_fini(struct arena *a)
{
	if (!a->books)
		return;
	munmap(a->base, a->size);
	close(a->fd);
	free(a->books->state);
	free(a->books->next);
	free(a->books->previous);
	free(a->books);
	a->books = NULL;
}

/* The budget counts what was asked for: pages of the rounding are never touched. */
static void set_asked(struct arena_books *b, uint32_t unit, uint64_t size)
{
	b->next[unit] = (uint32_t)size;
	b->previous[unit] = (uint32_t)(size >> 32);
}

static uint64_t asked(const struct arena_books *b, uint32_t unit)
{
	return b->next[unit] | (uint64_t)b->previous[unit] << 32;
}

uint64_t arena_reserve(struct arena *a, uint64_t size)
{
	struct arena_books *b = a->books;
	unsigned order;
	uint32_t unit;

	if (!fits_after_all(a->budget, size, arena_most(a->budget)))
		return 0;
	order = order_of(size);
	if (order < N_KEPT_ORDERS && b->n_kept[order])
		unit = b->kept[order][--b->n_kept[order]];
	else
		unit = cut(b, order);
	if (unit == NONE)
		return 0;
	a->budget->used += size;
	set_asked(b, unit, size);
	return (uint64_t)unit << UNIT_BITS;
}

void arena_release(struct arena *a, uint64_t offset)
{
	struct arena_books *b = a->books;
	uint32_t unit = (uint32_t)(offset >> UNIT_BITS);
	unsigned order = b->state[unit];

	assert(offset && unit < b->n_units && !(order & FREE));
	a->budget->used -= asked(b, unit);
	a->dirty |= order >= TRIM_ORDER;
	if (order < N_KEPT_ORDERS && b->n_kept[order] < N_KEPT)
		b->kept[order][b->n_kept[order]++] = unit;
	else
		join(b, unit, order);
}

uint64_t arena_block_size(const struct arena *a, uint64_t offset)
{
	return UNIT << (a->books->state[offset >> UNIT_BITS] & ~FREE);
}

void arena_trim(struct arena *a)
{
	struct arena_books *b = a->books;

	a->dirty = false;
	for (unsigned order = TRIM_ORDER; order <= b->top && !a->keeps; order++)
		for (uint32_t unit = b->heads[order]; unit != NONE; unit = b->next[unit])
			fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  (off_t)((uint64_t)unit << UNIT_BITS), (off_t)(UNIT << order));
}
