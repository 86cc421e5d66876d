/* SPDX-License-Identifier: MIT */
#include "infer/tensor.h"

#include <criterion/criterion.h>

#define ELEMENTS(...)                                     \
	tensor_elements((const int64_t[]){ __VA_ARGS__ }, \
			sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

Test(tensor, counts_elements)
{
	cr_expect_eq(tensor_elements(NULL, 0), 1);
	cr_expect_eq(ELEMENTS(7), 7);
	cr_expect_eq(ELEMENTS(2, 3, 4), 24);
	cr_expect_eq(ELEMENTS(INT64_MAX), INT64_MAX);
	cr_expect_eq(ELEMENTS(INT64_C(1) << 31, INT64_C(1) << 31), INT64_C(1) << 62);
}

Test(tensor, without_an_extent_has_no_elements_however_large_the_others_are)
{
	cr_expect_eq(ELEMENTS(0), 0);
	cr_expect_eq(ELEMENTS(3, 0, 5), 0);
	cr_expect_eq(ELEMENTS(INT64_MAX, INT64_MAX, 0), 0);
}

Test(tensor, notices_overflow_and_negative_extents)
{
	cr_expect_eq(ELEMENTS(-1), -1);
	cr_expect_eq(ELEMENTS(0, -1), -1);
	cr_expect_eq(ELEMENTS(INT64_MIN, 2), -1);
	cr_expect_eq(ELEMENTS(INT64_C(1) << 32, INT64_C(1) << 31), -1);
	cr_expect_eq(ELEMENTS(INT64_C(1) << 32, INT64_C(1) << 32), -1);
	cr_expect_eq(ELEMENTS(INT64_MAX, 2), -1);
}
