/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replica/arena.h"

#define MIB (UINT64_C(1) << 20)

static struct arena_budget budget;
static struct arena arena;

static void setup(void)
{
	budget = (struct arena_budget){ .limit = 64 * MIB };
	cr_assert_eq(arena_init(&arena, "test", &budget), 0);
}

static void teardown(void)
{
	arena_fini(&arena);
}

TestSuite(arena, .init = setup, .fini = teardown);

Test(arena, blocks_are_aligned_disjoint_and_never_at_zero)
{
	uint64_t a = arena_reserve(&arena, 1), b = arena_reserve(&arena, 5000), c = arena_reserve(&arena, 1 * MIB);

	cr_assert(a && b && c);
	cr_assert_eq((a | b | c) % 64, 0);
	cr_assert_geq(arena_block_size(&arena, b), 5000);
	memset(arena.base + a, 1, 1);
	memset(arena.base + b, 2, 5000);
	memset(arena.base + c, 3, 1 * MIB);
	cr_assert_eq(arena.base[a], 1);
	cr_assert_eq(arena.base[b + 4999], 2);
}

Test(arena, one_block_may_be_the_budget_but_a_sixteenth_for_small_ones)
{
	uint64_t a = arena_reserve(&arena, 60 * MIB), n = 0;

	cr_assert_eq(arena_most(&budget), 60 * MIB);
	cr_assert(a);
	cr_assert_eq(arena_reserve(&arena, MIB), 0, "the budget was not held");
	while (arena_reserve(&arena, MIB / 4))
		n++;
	cr_assert_eq(n, 16);
	cr_assert_eq(arena_reserve(&arena, 1), 0, "the budget was not held");
	arena_release(&arena, a);
	cr_assert(arena_reserve(&arena, MIB));
}

Test(arena, more_than_the_budget_is_refused)
{
	cr_assert_eq(arena_reserve(&arena, 64 * MIB + 1), 0);
	cr_assert_eq(arena_reserve(&arena, UINT64_MAX), 0);
	cr_assert_eq(budget.used, 0);
}

Test(arena, a_released_small_block_is_the_next_one_given)
{
	uint64_t a = arena_reserve(&arena, 800), b;

	arena_release(&arena, a);
	b = arena_reserve(&arena, 900);
	cr_assert_eq(a, b, "warm memory was not reused");
}

Test(arena, what_was_taken_and_released_in_any_order_joins_again)
{
	enum { N = 2000 };
	static uint64_t blocks[N];

	srand(7);
	for (int round = 0; round < 20; round++) {
		int n = 0;

		while (n < N && (blocks[n] = arena_reserve(&arena, (uint64_t)(rand() % 60000) + 1)))
			n++;
		cr_assert_gt(n, 100);
		for (int i = n - 1; i > 0; i--) {
			int j = rand() % (i + 1);
			uint64_t swap = blocks[i];

			blocks[i] = blocks[j];
			blocks[j] = swap;
		}
		for (int i = 0; i < n; i++)
			arena_release(&arena, blocks[i]);
		cr_assert_eq(budget.used, 0);
	}
	cr_assert(arena_reserve(&arena, 32 * MIB), "the arena is in pieces");
}

Test(arena, arenas_share_one_budget)
{
	struct arena other;

	cr_assert_eq(arena_init(&other, "other", &budget), 0);
	cr_assert(arena_reserve(&arena, 40 * MIB));
	cr_assert_eq(arena_reserve(&other, 40 * MIB), 0);
	cr_assert(arena_reserve(&other, 1 * MIB));
	arena_fini(&other);
}

Test(arena, trimming_keeps_what_is_in_use)
{
	uint64_t a = arena_reserve(&arena, 1 * MIB), b = arena_reserve(&arena, 8 * MIB);

	memset(arena.base + a, 7, MIB);
	memset(arena.base + b, 8, 8 * MIB);
	arena_release(&arena, b);
	arena_trim(&arena);
	cr_assert_eq(arena.base[a + MIB - 1], 7);
	cr_assert_eq(arena.base[b], 0, "the free block's pages were not given back");
}

Test(arena, what_may_be_pinned_is_not_given_back)
{
	uint64_t at = arena_reserve(&arena, 8 * MIB);

	arena.keeps = true;
	memset(arena.base + at, 8, 8 * MIB);
	arena_release(&arena, at);
	arena_trim(&arena);
	cr_assert_eq(arena.base[at], 8, "the GPU still has the page that is gone from here");
}

Test(arena, large_requests_leave_an_eighth_to_small_ones)
{
	struct infer_memory *m = &arena.memory;
	uint64_t block, small;
	void *at;

	cr_assert_eq(m->reserve(m, 57 * MIB, &at, &block), -EFBIG, "it would never fit");
	cr_assert_eq(m->charge(m, 57 * MIB), -EFBIG);
	cr_assert_eq(m->reserve(m, 40 * MIB, &at, &block), 0);
	cr_assert_eq(m->charge(m, 16 * MIB), 0);
	cr_assert_eq(m->reserve(m, 1 * MIB, &at, &small), -ENOMEM);
	cr_assert_eq(m->charge(m, 1 * MIB), -ENOMEM);
	cr_assert_eq(m->reserve(m, MIB / 4, &at, &small), 0);
	cr_assert_eq(m->charge(m, MIB / 4), 0);
	cr_assert(arena_reserve(&arena, 3 * MIB), "outputs may have more");
	cr_assert_eq(m->charge(m, MIB), -ENOMEM);
	m->discharge(m, 16 * MIB);
	cr_assert_eq(m->charge(m, MIB), 0);
}
