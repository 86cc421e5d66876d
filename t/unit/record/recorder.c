/* SPDX-License-Identifier: MIT */
#include "record/recorder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../infer/support.h"
#include "base/clock.h"

#define KIB UINT64_C(1024)

static struct recorders all;
static struct recorder recorder, other;
static struct signature *signature;
static char *memory;
static const uint64_t memory_size = 4096 * KIB;

static void setup(void)
{
	all = (struct recorders){ .limit = 4096 * KIB, .each = 1024 * KIB };
	recorder_init(&recorder, &all);
	recorder_init(&other, &all);
	signature = signature_one(DEVSERVE_FP32, -1);
	memory = calloc(1, memory_size);
}

static void teardown(void)
{
	recorder_fini(&other);
	recorder_fini(&recorder);
	cr_expect_eq(all.used, 0);
	signature_unref(signature);
	free(memory);
}

TestSuite(recorder, .init = setup, .fini = teardown);

static uint64_t kind_of(uint64_t bytes)
{
	struct tensor x = { .dtype = DEVSERVE_FP32, .rank = 1, .shape = { (int64_t)bytes / 4 } };

	return recorder_kind(&x, 1, 0);
}

static struct call_tensor tensor_of(uint64_t offset, uint64_t bytes)
{
	return (struct call_tensor){ .offset = offset, .size = bytes, .rank = 1, .dtype = DEVSERVE_FP32,
				     .shape = { (int64_t)bytes / 4 } };
}

/* X and Y of @bytes each, filled with @fill and @fill + 1. Its id, or 0. */
static uint64_t record_in(struct recorder *r, uint64_t bytes, char fill)
{
	struct recorder_call c = { .base = memory, .signature = signature, .kind = kind_of(bytes), .generation = 3,
				   .batch = 1, .compute_ns = 77, .n_in = 1, .n_out = 1,
				   .tensors = { tensor_of(64, bytes), tensor_of(64 + bytes, bytes) } };
	struct recorded *d;

	memset(memory + 64, fill, bytes);
	memset(memory + 64 + bytes, fill + 1, bytes);
	recorder_wants(r, signature, c.kind);
	d = recorder_reserve(r, &c);
	if (!d)
		return 0;
	recorder_copy(r, d, &c);
	recorder_keep(r, d);
	return d->id;
}

static uint64_t record(uint64_t bytes, char fill)
{
	return record_in(&recorder, bytes, fill);
}

static void expect_filled(const char *base, const struct recording *r, char fill)
{
	cr_assert_eq(r->n_in, 1);
	cr_assert_eq(r->n_out, 1);
	for (uint32_t i = 0; i < 2; i++) {
		const struct call_tensor *t = &r->tensors[i];

		cr_assert_eq(t->offset % 64, 0);
		for (uint64_t k = 0; k < t->size; k++)
			cr_assert_eq(base[t->offset + k], fill + (char)i);
	}
}

Test(recorder, keeps_what_was_asked_and_answered)
{
	uint64_t id = record(256, 5);
	const struct recording *r = recorder_find(&recorder, id);

	cr_assert(r);
	cr_expect_eq(r->id, id);
	cr_expect_eq(r->generation, 3);
	cr_expect_eq(r->compute_ns, 77);
	cr_expect_eq(r->batch, 1);
	cr_expect_eq(r->tensors[1].shape[0], 64);
	expect_filled(recorder.arena.base, r, 5);
	cr_expect_null(recorder_find(&recorder, id + 1));
	cr_expect_eq(recorder_signature(&recorder, id), signature);
}

Test(recorder, another_process_reads_it_at_its_path)
{
	struct recorder_view v;
	char *map;
	int fd;

	record(4096, 9);
	cr_assert_eq(recorder_hold(&recorder, signature, RECORDER_MAX, &v), 1);
	fd = open(v.path, O_RDONLY);
	cr_assert_geq(fd, 0);
	map = mmap(NULL, v.size, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert_neq(map, MAP_FAILED);
	expect_filled(map, (struct recording *)(map + v.offsets[0]), 9);
	munmap(map, v.size);
	close(fd);
	recorder_release(&recorder, &v);
}

Test(recorder, a_shape_that_came_once_stays_beside_one_that_comes_all_the_time)
{
	uint64_t rare = record(1000, 1), last = 0;

	for (int i = 0; i < 10 * RECORDER_MAX; i++)
		last = record(256, (char)i);
	cr_expect(recorder_find(&recorder, rare));
	cr_expect(recorder_find(&recorder, last));
	cr_expect(recorder_find(&recorder, last - RECORDER_MAX + 2), "it isn't the last ones that stay");
	cr_expect_null(recorder_find(&recorder, last - RECORDER_MAX + 1));
}

Test(recorder, the_shape_that_there_is_most_of_gives_way)
{
	uint64_t few = record(1000, 1), many;

	record(1000, 1);
	many = record(256, 1);
	for (int i = 3; i < RECORDER_MAX; i++)
		record(256, 1);
	record(512, 1);
	cr_expect(recorder_find(&recorder, few), "though it is the oldest");
	cr_expect_null(recorder_find(&recorder, many));
}

Test(recorder, of_more_shapes_than_there_is_room_for_the_last_ones_stay)
{
	uint64_t first = 0, last = 0;

	for (unsigned i = 1; i <= RECORDER_MAX + 1; i++) {
		last = record(64 * i, 1);
		first = first ? first : last;
	}
	cr_expect_null(recorder_find(&recorder, first));
	cr_expect(recorder_find(&recorder, first + 1));
	cr_expect(recorder_find(&recorder, last));
}

Test(recorder, is_bounded_by_bytes)
{
	uint64_t small = record(256, 1), first = record(150 * KIB, 2), last = 0;

	for (int i = 0; i < 20; i++) {
		last = record(150 * KIB, (char)i);
		cr_assert(last);
		cr_assert_leq(recorder.budget.used, all.each);
	}
	cr_expect(recorder_find(&recorder, small));
	cr_expect(recorder_find(&recorder, last));
	cr_expect_null(recorder_find(&recorder, first));
	expect_filled(recorder.arena.base, recorder_find(&recorder, last), 19);
}

static uint64_t id_of_all(void)
{
	struct recorder_view v;
	uint64_t id;

	cr_assert_eq(recorder_hold(&recorder, signature, RECORDER_MAX, &v), 1);
	id = recorder_at(&v, 0)->id;
	recorder_release(&recorder, &v);
	return id;
}

Test(recorder, a_large_call_takes_the_place_of_large_ones_only)
{
	uint64_t few = record(256, 1), many = 0, first, second;

	for (int i = 0; i < 10; i++)
		many = record(512, 1);
	first = record(300 * KIB, 2);
	cr_assert(first);
	second = record(400 * KIB, 3);
	cr_assert(second);
	cr_expect_null(recorder_find(&recorder, first));
	cr_expect(recorder_find(&recorder, few));
	cr_expect(recorder_find(&recorder, many - 9), "a small one went that was in nobody's way");
	expect_filled(recorder.arena.base, recorder_find(&recorder, second), 3);
	cr_expect_leq(recorder.budget.used, all.each);
}

Test(recorder, a_call_may_have_nearly_all_the_memory_for_itself)
{
	uint64_t id;

	for (int i = 0; i < 3; i++)
		cr_assert(record(200 * KIB, 1));
	id = record(479 * KIB, 2);
	cr_assert(id);
	cr_expect_eq(id_of_all(), id);
	cr_expect_leq(recorder.budget.used, all.each);
	cr_expect_eq(recorder.too_large, 0);
}

Test(recorder, for_a_large_call_nothing_goes_while_something_is_held)
{
	uint64_t id = record(200 * KIB, 1), held = record(256, 1);
	struct recorder_view v;

	cr_assert(recorder_hold_one(&recorder, held, &v));
	cr_expect_eq(record(400 * KIB, 2), 0);
	cr_expect(recorder_find(&recorder, id));
	recorder_release(&recorder, &v);
	cr_expect(record(400 * KIB, 2));
}

Test(recorder, what_is_larger_than_the_memory_is_not_kept_and_noted)
{
	uint64_t id = record(256, 1), bytes = 481 * KIB;
	struct recorder_call c = { .base = memory, .signature = signature, .kind = kind_of(bytes), .n_in = 1, .n_out = 1,
				   .tensors = { tensor_of(64, bytes), tensor_of(64 + bytes, bytes) } };

	cr_expect_not(recorder_has_room_for(&recorder, &c));
	cr_expect_geq(recorder.too_large, 2 * bytes);
	cr_expect_eq(record(bytes, 1), 0);
	cr_expect(recorder_find(&recorder, id));
	all.each = recorder_each_for(recorder.too_large);
	cr_expect(recorder_has_room_for(&recorder, &c));
	cr_expect_eq(all.each, 2048 * KIB);
}

Test(recorder, all_together_are_bounded_and_the_richest_gives)
{
	uint64_t poor;

	all.limit = 1024 * KIB;
	poor = record_in(&other, 256, 1);
	for (int i = 0; i < 20; i++) {
		cr_assert(record(100 * KIB, 2));
		cr_assert_leq(all.used, all.limit);
	}
	for (int i = 0; i < 3; i++)
		cr_assert(record_in(&other, 100 * KIB, 3));
	cr_assert_leq(all.used, all.limit);
	cr_expect(recorder_find(&other, poor));
	cr_expect_eq(other.budget.used / (600 * KIB), 1, "the poor one had to give");
}

Test(recorder, what_is_held_is_neither_overwritten_nor_dropped)
{
	uint64_t first = record(256, 1);
	struct recorder_view v;

	cr_assert_eq(recorder_hold(&recorder, signature, 8, &v), 1);
	for (int i = 0; i < 3 * RECORDER_MAX; i++)
		cr_assert(record(256, 2));
	expect_filled(v.base, recorder_at(&v, 0), 1);
	cr_expect(recorder_find(&recorder, first));
	recorder_release(&recorder, &v);
	cr_assert(record(256, 2));
	cr_expect_null(recorder_find(&recorder, first));
}

Test(recorder, where_all_is_held_nothing_new_is_kept)
{
	struct recorder_view v;

	for (int i = 0; i < RECORDER_MAX; i++)
		cr_assert(record(256, 2));
	cr_assert_eq(recorder_hold(&recorder, signature, RECORDER_MAX, &v), RECORDER_MAX);
	cr_expect_eq(record(256, 3), 0);
	recorder_release(&recorder, &v);
	cr_expect(record(256, 3));
}

Test(recorder, what_is_cleared_goes_when_nobody_holds_it)
{
	uint64_t id = record(256, 1);
	struct recorder_view v, w;

	record(256, 1);
	cr_assert(recorder_hold_one(&recorder, id, &v));
	recorder_clear(&recorder);
	cr_expect_null(recorder_find(&recorder, id));
	cr_expect_eq(recorder_hold(&recorder, signature, 8, &w), 0);
	expect_filled(v.base, recorder_at(&v, 0), 1);
	cr_expect_gt(all.used, 0);
	recorder_release(&recorder, &v);
	recorder_release(&recorder, &w);
	cr_expect_eq(all.used, 0);
	cr_expect_not(recorder_hold_one(&recorder, id, &v));
}

Test(recorder, what_is_being_copied_is_not_shown_and_not_dropped)
{
	struct recorder_call c = { .base = memory, .signature = signature, .kind = kind_of(256), .n_in = 1, .n_out = 1,
				   .tensors = { tensor_of(64, 256), tensor_of(320, 256) } };
	struct recorded *d = recorder_reserve(&recorder, &c);
	struct recorder_view v;

	cr_assert(d);
	cr_expect_eq(recorder_hold(&recorder, signature, 8, &v), 0);
	cr_expect_null(recorder_find(&recorder, d->id));
	recorder_clear(&recorder);
	recorder_copy(&recorder, d, &c);
	cr_expect_gt(all.used, 0);
	recorder_keep(&recorder, d);
	cr_expect_eq(all.used, 0, "it was to be dropped");
}

Test(recorder, a_view_begins_with_the_newest_of_each_shape)
{
	uint64_t a, b, older;
	struct recorder_view v;

	record(256, 1);
	older = record(512, 1);
	a = record(512, 2);
	b = record(256, 2);
	cr_assert_eq(recorder_hold(&recorder, signature, 3, &v), 3);
	cr_expect_eq(recorder_at(&v, 0)->id, b);
	cr_expect_eq(recorder_at(&v, 1)->id, a);
	cr_expect_eq(recorder_at(&v, 2)->id, older);
	recorder_release(&recorder, &v);
}

Test(recorder, what_another_signature_was_asked_is_not_shown_and_goes_first)
{
	struct signature *old = signature;
	uint64_t id = record(4096, 1);
	struct recorder_view v;

	signature = signature_one(DEVSERVE_FP32, -1);
	signature->inputs[0].name[0] = 'Z';
	record(256, 1);
	cr_assert_eq(recorder_hold(&recorder, signature, 8, &v), 1);
	cr_expect_neq(recorder_at(&v, 0)->id, id);
	recorder_release(&recorder, &v);
	cr_assert_eq(recorder_hold(&recorder, old, 8, &v), 1);
	recorder_release(&recorder, &v);
	for (int i = 0; i < RECORDER_MAX; i++)
		record(256, 1);
	cr_expect_null(recorder_find(&recorder, id));
	signature_unref(old);
}

Test(recorder, batches_of_about_as_many_rows_are_of_a_kind)
{
	struct tensor x = { .rank = 2, .shape = { 4, 16 } }, y = { .rank = 2, .shape = { 7, 16 } };

	cr_expect_eq(recorder_kind(&x, 1, 4), recorder_kind(&y, 1, 7));
	cr_expect_neq(recorder_kind(&x, 1, 4), recorder_kind(&y, 1, 8));
	cr_expect_neq(recorder_kind(&x, 1, 0), recorder_kind(&y, 1, 0));
	y.shape[1] = 17;
	cr_expect_neq(recorder_kind(&x, 1, 4), recorder_kind(&y, 1, 7));
}

static bool wants(uint64_t kind, uint64_t now_ns)
{
	return recorder_listens(&recorder, now_ns) && recorder_wants(&recorder, signature, kind);
}

Test(recorder, under_load_a_new_shape_is_still_wanted)
{
	uint64_t now = NS_PER_S, known = kind_of(256), n = 0;

	while (wants(known, now) && n++ < 1000)
		record(256, 1);
	cr_expect_gt(n, RECORDER_MAX);
	cr_expect_lt(n, 1000);
	cr_expect(wants(kind_of(512), now));
	cr_expect(wants(known, now + NS_PER_S));
}

Test(recorder, large_calls_are_taken_seldom)
{
	uint64_t now = NS_PER_S, size = 200 * KIB, n = 0;

	for (unsigned i = 0; i < 10000; i++) {
		now += NS_PER_MS;
		if (wants(kind_of(size), now))
			n += record(size, 1) ? 1 : 0;
	}
	cr_expect_gt(n, 100, "%u", (unsigned)n);
	cr_expect_lt(n, 300, "%u", (unsigned)n);
}

Test(recorder, keeps_nothing_where_it_may_have_no_memory)
{
	all.each = 0;
	cr_expect_not(recorder_listens(&recorder, 1));
	cr_expect_eq(record(256, 1), 0);
}
