/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/oom.h"

Test(oom, the_count_is_read_from_its_line)
{
	cr_expect_eq(oom_kills_in("nr_free_pages 12\noom_kill 7\nnuma_hit 9\n"), 7);
	cr_expect_eq(oom_kills_in("oom_kill 8\n"), 8);
	cr_expect_eq(oom_kills_in("a 1\noom_kill 18446744073709551615"), UINT64_MAX);
}

Test(oom, a_kernel_that_does_not_say_has_killed_nobody)
{
	cr_expect_eq(oom_kills_in(""), 0);
	cr_expect_eq(oom_kills_in("nr_oom_kill 3\noom_kills 4\n"), 0);
	cr_expect_eq(oom_kills_in("oom_kill\n"), 0);
	cr_expect_eq(oom_kills_in("oom_kill x\n"), 0);
}
