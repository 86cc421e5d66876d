/* SPDX-License-Identifier: MIT */

/*
 * Large calls are another thing than small ones. One may take nearly all the memory that there is, for a
 * kernel whose calls are that large is to be proved and timed as any other; but what goes for it is what
 * is large, and small ones only where there is no other way. Nothing goes for it while something is held,
 * which may lie where the only block for it would be: it will come again.
 */

#include "record/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "infer/signature.h"
#include "infer/tensor.h"

/* What is charged is more than it takes: caches and memory have others who want them. */
#define CALL_NS UINT64_C(4000)
#define BYTE_NS 1
#define SAVED_CALLS 250 /* at most; a quarter is for kinds that aren't there */
#define SAVED_BYTES (64 * NS_PER_MS)

/* Room */

static struct recorded *next(struct recorder *r, struct recorded *d)
{
	for (d = d ? d + 1 : r->recorded; d < r->recorded + RECORDER_MAX; d++)
		if (d->offset)
			return d;
	return NULL;
}

static struct recorded *find_free(struct recorder *r)
{
	for (unsigned i = 0; i < RECORDER_MAX; i++)
		if (!r->recorded[i].offset)
			return &r->recorded[i];
	return NULL;
}

static uint64_t *place_of(struct recorder *r, uint64_t kind)
{
	return &r->known[kind >> 32 & (RECORDER_KNOWN - 1)];
}

/* @d comes, or goes. */
static void count(struct recorder *r, struct recorded *d, bool comes)
{
	unsigned n = 0;
	uint64_t bytes = 0;

	for (struct recorded *o = next(r, NULL); o; o = next(r, o)) {
		if (o->kind != d->kind || (o == d && !comes))
			continue;
		n++;
		bytes += o->size;
	}
	for (struct recorded *o = next(r, NULL); o; o = next(r, o)) {
		if (o->kind != d->kind)
			continue;
		o->n_alike = n;
		o->bytes_alike = bytes;
	}
}

static void drop(struct recorder *r, struct recorded *d)
{
	count(r, d, false);
	arena_release(&r->arena, d->offset);
	r->all->used -= d->size;
	signature_unref(d->signature);
	if (!d->n_alike)
		*place_of(r, d->kind) = 0;
	*d = (struct recorded){ .offset = 0 };
}

static bool may_go(const struct recorded *d)
{
	return d->whole && !d->holds;
}

/* What there is no room for: one more, its bytes, or those of a large one. */
enum need { NEED_PLACE, NEED_BYTES, NEED_BLOCK };

/* Whether @a should go rather than @b: it is of no use, it is one of more, it is older. */
static bool goes_before(const struct recorded *a, const struct recorded *b, enum need need)
{
	if (a->stale != b->stale)
		return a->stale;
	if (need == NEED_BLOCK && a->size != b->size)
		return a->size > b->size;
	if (a->kind == b->kind)
		return a->id < b->id;
	if ((a->n_alike > 1) != (b->n_alike > 1))
		return a->n_alike > 1;
	if (need == NEED_BYTES && a->bytes_alike != b->bytes_alike)
		return a->bytes_alike > b->bytes_alike;
	return a->n_alike != b->n_alike ? a->n_alike > b->n_alike : a->id < b->id;
}

/* False: all that is there is held. */
static bool make_way(struct recorder *r, enum need need)
{
	struct recorded *victim = NULL;

	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		if (may_go(d) && (!victim || goes_before(d, victim, need)))
			victim = d;
	if (victim)
		drop(r, victim);
	return victim;
}

/* Of all recorders the one that has most gives. */
static bool make_way_among_all(struct recorders *all)
{
	struct recorder *r, *richest = NULL;

	LIST_FOREACH(r, &all->list, entry)
		if (r->has_arena && (!richest || r->budget.used > richest->budget.used))
			richest = r;
	return richest && make_way(richest, NEED_BYTES);
}

static bool open_arena(struct recorder *r)
{
	if (r->has_arena || r->failed)
		return r->has_arena;
	r->budget = (struct arena_budget){ .limit = r->all->each };
	r->has_arena = arena_init(&r->arena, "recordings", &r->budget) == 0;
	r->failed = !r->has_arena;
	return r->has_arena;
}

/* Bytes that one recording may have: the rest is for small ones. */
static uint64_t most(const struct recorder *r)
{
	const struct arena_budget b = { .limit = r->all->each < r->all->limit ? r->all->each : r->all->limit };

	return arena_most(&b);
}

static bool any_must_stay(struct recorder *r)
{
	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		if (!may_go(d))
			return true;
	return false;
}

static uint64_t reserve(struct recorder *r, uint64_t size)
{
	bool large = size > most(r) / 2;
	uint64_t offset;

	if (size > most(r) || (large && any_must_stay(r)) || !open_arena(r))
		return 0;
	while (size > r->all->limit - r->all->used)
		if (!make_way_among_all(r->all))
			return 0;
	while (!(offset = arena_reserve(&r->arena, size)))
		if (!make_way(r, large ? NEED_BLOCK : NEED_BYTES))
			return 0;
	return offset;
}

/* Life */

void recorder_init(struct recorder *r, struct recorders *all)
{
	*r = (struct recorder){ .all = all };
	r->calls.most_ns = SAVED_CALLS * CALL_NS;
	r->calls.kept_ns = r->calls.most_ns / 4;
	r->bytes.most_ns = SAVED_BYTES;
	r->bytes.kept_ns = SAVED_BYTES / 4;
	LIST_INSERT_HEAD(&all->list, r, entry);
}

void recorder_fini(struct recorder *r)
{
	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		drop(r, d);
	if (r->has_arena)
		arena_fini(&r->arena);
	r->signature = signature_unref(r->signature);
	LIST_REMOVE(r, entry);
}

/* Choosing what to record */

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

uint64_t recorder_kind(const struct tensor *inputs, uint32_t n, uint32_t rows)
{
	/* 1, 2 to 3, 4 to 7, … rows are of a kind: batches have any number. */
	uint64_t h = mix(n, rows ? 64 - (uint64_t)__builtin_clzll(rows) : 0);

	for (uint32_t i = 0; i < n; i++) {
		h = mix(h, inputs[i].rank);
		for (uint32_t k = rows ? 1 : 0; k < inputs[i].rank; k++)
			h = mix(h, (uint64_t)inputs[i].shape[k]);
	}
	return h | 1;
}

/* What clients can tell apart makes all that was recorded for the one before useless. */
static void change_signature(struct recorder *r, struct signature *s)
{
	signature_unref(r->signature);
	r->signature = signature_ref(s);
	memset(r->known, 0, sizeof(r->known));
	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		d->stale = !signature_equal(d->signature, s);
}

static bool is_known(struct recorder *r, uint64_t kind)
{
	uint64_t *place = place_of(r, kind);

	if (kind == *place)
		return true;
	for (struct recorded *d = next(r, NULL); d; d = next(r, d)) {
		if (d->kind != kind || d->stale || d->dropped)
			continue;
		*place = kind;
		return true;
	}
	return false;
}

static bool permits(const struct recorder *r, bool matters)
{
	return allowance_permits(&r->calls, matters) && allowance_permits(&r->bytes, matters);
}

bool recorder_listens(struct recorder *r, uint64_t now_ns)
{
	if (!r->all->each || r->failed)
		return false;
	allowance_earn(&r->calls, now_ns);
	allowance_earn(&r->bytes, now_ns);
	return permits(r, true);
}

bool recorder_wants(struct recorder *r, struct signature *s, uint64_t kind)
{
	if (s != r->signature)
		change_signature(r, s);
	return permits(r, false) || !is_known(r, kind);
}

/* Recording */

static uint64_t align(uint64_t n)
{
	return (n + 63) & ~UINT64_C(63);
}

static uint64_t head_size(const struct recorder_call *c)
{
	return align(sizeof(struct recording) + (c->n_in + c->n_out) * sizeof(struct call_tensor));
}

uint64_t recorder_call_size(const struct recorder_call *c)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < c->n_in + c->n_out; i++)
		size += align(c->tensors[i].size);
	return size;
}

uint64_t recorder_each_for(uint64_t bytes)
{
	uint64_t each = UINT64_C(1) << 20;

	while (arena_most(&(struct arena_budget){ .limit = each }) < bytes)
		each *= 2;
	return each;
}

bool recorder_has_room_for(struct recorder *r, const struct recorder_call *c)
{
	uint64_t size = head_size(c) + recorder_call_size(c);

	if (size <= most(r))
		return true;
	r->too_large = size > r->too_large ? size : r->too_large;
	return false;
}

static void write_head(struct recorder *r, const struct recorded *d, const struct recorder_call *c)
{
	struct recording *to = (struct recording *)(r->arena.base + d->offset);
	uint64_t at = d->offset + head_size(c);

	to->id = d->id;
	to->recorded_ns = clock_wall_ns();
	to->compute_ns = c->compute_ns;
	to->generation = c->generation;
	to->batch = c->batch;
	to->n_in = c->n_in;
	to->n_out = c->n_out;
	for (uint32_t i = 0; i < c->n_in + c->n_out; i++) {
		to->tensors[i] = c->tensors[i];
		to->tensors[i].offset = at;
		at += align(c->tensors[i].size);
	}
}

struct recorded *recorder_reserve(struct recorder *r, const struct recorder_call *c)
{
	uint64_t bytes = recorder_call_size(c), size = head_size(c) + bytes;
	struct recorded *d = find_free(r);
	uint64_t offset;

	allowance_spend(&r->calls, CALL_NS);
	allowance_spend(&r->bytes, bytes * BYTE_NS);
	if (!d && !make_way(r, NEED_PLACE))
		return NULL;
	offset = reserve(r, size);
	if (!offset)
		return NULL;
	d = find_free(r);
	r->all->used += size;
	*d = (struct recorded){ .offset = offset, .size = size, .kind = c->kind, .id = ++r->all->last_id,
				.signature = signature_ref(c->signature) };
	count(r, d, true);
	write_head(r, d, c);
	return d;
}

void recorder_copy(struct recorder *r, const struct recorded *d, const struct recorder_call *c)
{
	const struct recording *to = (const struct recording *)(r->arena.base + d->offset);

	for (uint32_t i = 0; i < c->n_in + c->n_out; i++)
		if (c->tensors[i].size)
			memcpy(r->arena.base + to->tensors[i].offset, c->base + c->tensors[i].offset,
			       c->tensors[i].size);
}

void recorder_keep(struct recorder *r, struct recorded *d)
{
	d->whole = true;
	if (d->dropped)
		drop(r, d);
}

/* Looking at what is there */

static bool is_there(const struct recorded *d)
{
	return d->whole && !d->dropped;
}

static void hold(struct recorder_view *v, struct recorded *d)
{
	d->holds++;
	v->offsets[v->n++] = d->offset;
}

static void open_view(struct recorder *r, struct recorder_view *ret)
{
	*ret = (struct recorder_view){ .n = 0 };
	if (!r->has_arena)
		return;
	snprintf(ret->path, sizeof(ret->path), "/proc/%d/fd/%d", (int)getpid(), r->arena.fd);
	ret->size = r->arena.size;
	ret->base = r->arena.base;
}

/* How many of its kind are newer. */
static unsigned depth_of(struct recorder *r, const struct recorded *of)
{
	unsigned n = 0;

	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		n += is_there(d) && d->kind == of->kind && d->id > of->id && d->stale == of->stale;
	return n;
}

unsigned recorder_hold(struct recorder *r, const struct signature *s, unsigned most, struct recorder_view *ret)
{
	unsigned depth[RECORDER_MAX] = { 0 };
	bool fits[RECORDER_MAX] = { false };

	open_view(r, ret);
	for (struct recorded *d = next(r, NULL); d; d = next(r, d)) {
		fits[d - r->recorded] = is_there(d) && signature_equal(d->signature, s);
		depth[d - r->recorded] = depth_of(r, d);
	}
	while (ret->n < most) {
		int best = -1;

		for (int i = 0; i < RECORDER_MAX; i++)
			if (fits[i] && (best < 0 || depth[i] < depth[best] ||
					(depth[i] == depth[best] && r->recorded[i].id > r->recorded[best].id)))
				best = i;
		if (best < 0)
			break;
		fits[best] = false;
		hold(ret, &r->recorded[best]);
	}
	return ret->n;
}

static struct recorded *find(struct recorder *r, uint64_t id)
{
	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		if (d->id == id && is_there(d))
			return d;
	return NULL;
}

bool recorder_hold_one(struct recorder *r, uint64_t id, struct recorder_view *ret)
{
	struct recorded *d = find(r, id);

	if (!d)
		return false;
	open_view(r, ret);
	hold(ret, d);
	return true;
}

void recorder_release(struct recorder *r, const struct recorder_view *v)
{
	for (unsigned i = 0; i < v->n; i++) {
		for (struct recorded *d = next(r, NULL); d; d = next(r, d)) {
			if (d->offset != v->offsets[i])
				continue;
			if (--d->holds == 0 && d->dropped)
				drop(r, d);
			break;
		}
	}
}

uint64_t recorder_take_id(struct recorder *r)
{
	return ++r->all->last_id;
}

void recorder_clear(struct recorder *r)
{
	for (struct recorded *d = next(r, NULL); d; d = next(r, d)) {
		if (may_go(d))
			drop(r, d);
		else
			d->dropped = true;
	}
	memset(r->known, 0, sizeof(r->known));
}

const struct recording *recorder_find(struct recorder *r, uint64_t id)
{
	struct recorded *d = find(r, id);

	return d ? (const struct recording *)(r->arena.base + d->offset) : NULL;
}

struct signature *recorder_signature(struct recorder *r, uint64_t id)
{
	for (struct recorded *d = next(r, NULL); d; d = next(r, d))
		if (d->id == id)
			return d->signature;
	return NULL;
}
