/* SPDX-License-Identifier: MIT */
#include "infer/json_numbers.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <devserve/deployment.h>

static char text[1024];

#define NUMBERS(dtype, type, ...)                     \
	numbers(dtype, (const type[]){ __VA_ARGS__ }, \
		sizeof((const type[]){ __VA_ARGS__ }) / sizeof(type))

static const char *numbers(uint32_t dtype, const void *data, size_t n)
{
	char *end;

	memset(text, 'p', sizeof(text));
	end = json_numbers(text, dtype, data, n);
	if (!end)
		return "none";
	*end = '\0';
	return text;
}

Test(json_numbers, have_commas_between_and_after_them)
{
	cr_expect_str_eq(NUMBERS(DEVSERVE_INT32, int32_t, 1, -2, 3), "1,-2,3,");
	cr_expect_str_eq(numbers(DEVSERVE_INT32, NULL, 0), "");
}

Test(json_numbers, cover_the_range_of_every_integer)
{
	cr_expect_str_eq(NUMBERS(DEVSERVE_BOOL, uint8_t, 0, 1, 7), "false,true,true,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_UINT8, uint8_t, 0, UINT8_MAX), "0,255,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_UINT16, uint16_t, 0, UINT16_MAX), "0,65535,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_UINT32, uint32_t, 0, UINT32_MAX), "0,4294967295,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_UINT64, uint64_t, 0, UINT64_MAX),
			 "0,18446744073709551615,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_INT8, int8_t, INT8_MIN, INT8_MAX), "-128,127,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_INT16, int16_t, INT16_MIN, INT16_MAX), "-32768,32767,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_INT32, int32_t, INT32_MIN, INT32_MAX),
			 "-2147483648,2147483647,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_INT64, int64_t, INT64_MIN, INT64_MAX),
			 "-9223372036854775808,9223372036854775807,");
}

Test(json_numbers, are_the_shortest_of_their_own_type)
{
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP32, float, 0.1f, 1, -2.5f, 16777216.0f, 1e-7f),
			 "0.1,1,-2.5,16777216,1e-07,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP64, double, 0.1, 0.1f, 1e300),
			 "0.1,0.10000000149011612,1e+300,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP32, float, FLT_MAX, FLT_TRUE_MIN),
			 "3.4028235e+38,1e-45,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP64, double, -DBL_MAX, -DBL_TRUE_MIN),
			 "-1.7976931348623157e+308,-5e-324,");
}

/* Where "-0" is read as an integer, the sign would be lost. */
Test(json_numbers, keep_the_sign_of_zero)
{
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP32, float, 0.0f, -0.0f), "0,-0.0,");
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP64, double, 0.0, -0.0), "0,-0.0,");
}

Test(json_numbers, cannot_say_what_is_not_finite)
{
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP32, float, 1, NAN), "none");
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP32, float, INFINITY, 1), "none");
	cr_expect_str_eq(NUMBERS(DEVSERVE_FP64, double, -INFINITY), "none");
}

Test(json_numbers, never_outgrow_the_room_they_are_given)
{
	for (uint64_t bits = 1, i = 0; i < 200000; i++) {
		double d;
		float f;
		uint32_t low;

		bits = bits * 6364136223846793005u + 1442695040888963407u;
		low = (uint32_t)(bits >> 32);
		memcpy(&d, &bits, sizeof(d));
		memcpy(&f, &low, sizeof(f));
		if (isfinite(d)) {
			numbers(DEVSERVE_FP64, &d, 1);
			cr_assert_lt(strlen(text), JSON_NUMBER_SIZE);
			cr_assert_eq(strtod(text, NULL), d, "%s", text);
		}
		if (isfinite(f)) {
			numbers(DEVSERVE_FP32, &f, 1);
			cr_assert_lt(strlen(text), 18);
			cr_assert_eq(strtof(text, NULL), f, "%s", text);
			/* A reader that takes it for a double first must come to the same float. */
			cr_assert_eq((float)strtod(text, NULL), f, "%s", text);
		}
	}
}
