/* SPDX-License-Identifier: MIT */
#include "record/allowance.h"

#include <criterion/criterion.h>

static struct allowance a;

static void setup(void)
{
	a = (struct allowance){ .most_ns = 1000, .kept_ns = 200 };
}

TestSuite(allowance, .init = setup);

static bool permits(bool matters, uint64_t now_ns)
{
	allowance_earn(&a, now_ns);
	return allowance_permits(&a, matters);
}

Test(allowance, all_of_it_is_there_at_first)
{
	cr_expect(permits(false, 1));
	allowance_spend(&a, 799);
	cr_expect(permits(false, 1));
}

Test(allowance, the_last_part_is_for_what_matters)
{
	permits(false, 1);
	allowance_spend(&a, 800);
	cr_expect_not(permits(false, 1));
	cr_expect(permits(true, 1));
	allowance_spend(&a, 200);
	cr_expect_not(permits(true, 1));
}

Test(allowance, what_was_spent_in_advance_is_waited_for)
{
	permits(true, 1);
	allowance_spend(&a, 11000);
	cr_expect_not(permits(true, 1 + 10000 * ALLOWANCE_SHARE));
	cr_expect(permits(true, 1 + 10001 * ALLOWANCE_SHARE));
}

Test(allowance, is_earned_however_often_one_looks)
{
	uint64_t now = 1;

	permits(true, now);
	allowance_spend(&a, 1000);
	for (int i = 0; i < 10 * ALLOWANCE_SHARE; i++)
		permits(true, ++now);
	cr_expect_eq(a.saved_ns, 10);
}

Test(allowance, nothing_is_earned_by_a_moment_that_lies_back)
{
	permits(true, 1000000);
	allowance_spend(&a, 1000);
	cr_expect_not(permits(true, 1));
	cr_expect_not(permits(true, 1000000));
}

Test(allowance, is_bounded_however_long_nobody_looks)
{
	permits(true, 1);
	allowance_spend(&a, 500);
	permits(true, UINT64_MAX / 2);
	cr_expect_eq(a.saved_ns, 1000);
	allowance_spend(&a, 5000);
	permits(true, UINT64_MAX / 2 + 1);
	cr_expect_eq(a.saved_ns, -4000);
}
