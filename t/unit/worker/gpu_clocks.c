/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "worker/gpu_clocks.h"

Test(gpu_clocks, what_slows_it_down_is_told_once_and_not_taken_for_another)
{
	struct measurement_clocks c = { .low_mhz = 0 };

	gpu_clocks_add(1 << 6, &c);
	cr_expect_str_eq(c.slowed_by, "heat (hardware)");
	gpu_clocks_add(1 << 5 | 1 << 2, &c);
	gpu_clocks_add(1 << 6, &c);
	cr_expect_str_eq(c.slowed_by, "power cap, heat, heat (hardware)");
}

Test(gpu_clocks, all_of_it_fits_and_what_has_no_name_is_left_out)
{
	struct measurement_clocks c = { .low_mhz = 0 };

	gpu_clocks_add(1, &c);
	cr_expect_str_eq(c.slowed_by, "");
	gpu_clocks_add(UINT64_MAX, &c);
	cr_expect_str_eq(c.slowed_by, "clocks that somebody set, power cap, hardware slowdown, sync boost, heat, "
				      "heat (hardware), power brake, display clocks");
}
