/* SPDX-License-Identifier: MIT */
#include "compare/compare.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include <devserve/deployment.h>

#include "array/array.h"
#include "base/buffer.h"

#define COMPARE(dtype, expected, got, ret)                                                       \
	compare(dtype, expected, got, sizeof(expected) / sizeof(*(expected)), tolerance_of(dtype), ret)

Test(compare, tells_nothing_of_equal_numbers)
{
	static float x[3000];
	struct comparison c;

	for (int i = 0; i < 3000; i++)
		x[i] = (float)i / 7;
	COMPARE(DEVSERVE_FP32, x, x, &c);
	cr_expect(comparison_agrees(&c));
	cr_expect_eq(c.n, 3000);
	cr_expect_eq(c.n_other, 0);
	cr_expect_eq(c.max_abs, 0);
	cr_expect_eq(c.max_ulp, 0);
}

/* What torch.testing.assert_close() allows: |got - expected| <= atol + rtol × |expected|. */
Test(compare, allows_what_torch_allows_by_datatype)
{
	static const struct {
		uint32_t dtype;
		double within, beyond; /* instead of 100 */
	} cases[] = {
		{ DEVSERVE_FP64, 100.00001, 100.00002 },
		{ DEVSERVE_FP32, 100.00013, 100.00016 },
		{ DEVSERVE_FP16, 100.0625, 100.125 }, /* neighbours of 100 */
		{ DEVSERVE_BF16, 101.5, 102 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double numbers[3] = { 100, cases[i].within, cases[i].beyond };
		char as[3][8] = { { 0 } };
		struct comparison c;

		for (int k = 0; k < 3; k++) {
			float f = (float)numbers[k];

			if (cases[i].dtype == DEVSERVE_FP64)
				memcpy(as[k], &numbers[k], 8);
			else if (cases[i].dtype == DEVSERVE_FP32)
				memcpy(as[k], &f, 4);
			else
				array_narrow(cases[i].dtype, &f, as[k], 1);
		}
		compare(cases[i].dtype, as[0], as[1], 1, tolerance_of(cases[i].dtype), &c);
		cr_expect(comparison_agrees(&c), "dtype %u: %g", cases[i].dtype, numbers[1]);
		cr_expect_eq(c.n_other, 1);
		compare(cases[i].dtype, as[0], as[2], 1, tolerance_of(cases[i].dtype), &c);
		cr_expect(!comparison_agrees(&c), "dtype %u: %g", cases[i].dtype, numbers[2]);
	}
}

Test(compare, knows_the_worst_and_the_first_and_how_many_there_are)
{
	float expected[1000], got[1000];
	struct comparison c;

	for (int i = 0; i < 1000; i++)
		expected[i] = got[i] = 1;
	got[600] = 1.5f;
	got[700] = -3;
	got[999] = 1.25f;
	COMPARE(DEVSERVE_FP32, expected, got, &c);
	cr_expect_eq(c.n_beyond, 3);
	cr_expect_eq(c.first, 600);
	cr_expect_eq(c.worst, 700);
	cr_expect_eq(c.abs_at, 700);
	cr_expect_float_eq(c.max_abs, 4, 1e-12);
	cr_expect_float_eq(c.max_rel, 4, 1e-12);
}

Test(compare, counts_units_in_the_last_place_across_zero)
{
	float expected[] = { 1, 0.0f, 1e-45f }, got[] = { nextafterf(nextafterf(1, 2), 2), -0.0f, -1e-45f };
	struct comparison c;

	COMPARE(DEVSERVE_FP32, expected, got, &c);
	cr_expect_eq(c.max_ulp, 2);
	cr_expect_eq(c.ulp_at, 0);
	cr_expect_eq(c.n_other, 2, "both zeros are the same number");
	cr_expect(comparison_agrees(&c));
}

Test(compare, takes_a_nan_for_what_it_is)
{
	float expected[] = { NAN, 1, NAN }, got[] = { NAN, NAN, 1 };
	struct comparison c;

	COMPARE(DEVSERVE_FP32, expected, got, &c);
	cr_expect_eq(c.n_beyond, 2, "a NaN that was one may stay one");
	cr_expect_eq(c.n_nan, 1);
	cr_expect_eq(c.first, 1);
	cr_expect_eq(c.max_abs, 0, "a NaN is in no difference");
}

Test(compare, takes_infinity_for_equal_to_itself_alone)
{
	double expected[] = { INFINITY, INFINITY, -INFINITY, 1e308 }, got[] = { INFINITY, 1e308, INFINITY, INFINITY };
	struct comparison c;

	COMPARE(DEVSERVE_FP64, expected, got, &c);
	cr_expect_eq(c.n_beyond, 3);
	cr_expect_eq(c.first, 1);
}

Test(compare, wants_integers_to_be_equal)
{
	int64_t expected[] = { INT64_C(1) << 53, -7, INT64_MIN }, got[] = { (INT64_C(1) << 53) + 1, -7, INT64_MAX };
	uint8_t bytes[] = { 0, 255 }, others[] = { 255, 255 };
	struct comparison c;

	COMPARE(DEVSERVE_INT64, expected, got, &c);
	cr_expect_eq(c.n_beyond, 2);
	cr_expect_eq(c.first, 0, "2^53 + 1 is not 2^53");
	cr_expect_eq(c.worst, 2);
	COMPARE(DEVSERVE_UINT8, bytes, others, &c);
	cr_expect_eq(c.n_beyond, 1);
	cr_expect_float_eq(c.max_abs, 255, 0);
}

Test(compare, keeps_the_sign_of_small_integers)
{
	int8_t expected[] = { -1 }, got[] = { 1 };
	struct comparison c;

	COMPARE(DEVSERVE_INT8, expected, got, &c);
	cr_expect_float_eq(c.max_abs, 2, 0);
}

Test(compare, allows_what_it_is_told_to_allow)
{
	float expected[] = { 100 }, got[] = { 101 };
	struct comparison c;

	compare(DEVSERVE_FP32, expected, got, 1, (struct tolerance){ .rtol = 0.01 }, &c);
	cr_expect(comparison_agrees(&c));
	compare(DEVSERVE_FP32, expected, got, 1, (struct tolerance){ .atol = 0.9 }, &c);
	cr_expect(!comparison_agrees(&c));
}

Test(compare, wants_strings_to_be_equal)
{
	static const char expected[] = "\2\0\0\0ab\0\0\0\0\1\0\0\0c", got[] = "\2\0\0\0ab\1\0\0\0x\1\0\0\0c";
	struct comparison c;

	compare_bytes(expected, sizeof(expected) - 1, got, sizeof(got) - 1, 3, &c);
	cr_expect_eq(c.n_beyond, 1);
	cr_expect_eq(c.first, 1);
	compare_bytes(expected, sizeof(expected) - 1, got, 7, 3, &c);
	cr_expect_eq(c.n_beyond, 2, "what isn't whole is none");
}

static const char *place(uint64_t at, const int64_t *shape, uint32_t rank)
{
	static struct buffer b;

	buffer_reset(&b);
	compare_put_place(&b, at, shape, rank);
	return buffer_text(&b);
}

Test(compare, says_where_by_indices)
{
	const int64_t shape[] = { 4, 3, 5 };

	cr_expect_str_eq(place(0, shape, 3), "[0,0,0]");
	cr_expect_str_eq(place(59, shape, 3), "[3,2,4]");
	cr_expect_str_eq(place(16, shape, 3), "[1,0,1]");
	cr_expect_str_eq(place(0, shape, 0), "[]");
}

static const char *element_of(uint32_t dtype, const void *data, uint64_t size, uint64_t at)
{
	static struct buffer b;

	buffer_reset(&b);
	compare_put_element(&b, dtype, data, size, at);
	return buffer_text(&b);
}

#define element(dtype, data, at) element_of(dtype, data, sizeof(data), at)

Test(compare, writes_elements_with_the_digits_they_have)
{
	const float f[] = { 0, 0.1f, NAN };
	const double d[] = { 0.1 };
	const int16_t i[] = { -300 };
	const uint64_t u[] = { UINT64_MAX };
	const char bytes[] = "\1\0\0\0a\2\0\0\0bc";

	cr_expect_str_eq(element(DEVSERVE_FP32, f, 1), "0.100000001");
	cr_expect_str_eq(element(DEVSERVE_FP32, f, 2), "nan");
	cr_expect_str_eq(element(DEVSERVE_FP64, d, 0), "0.10000000000000001");
	cr_expect_str_eq(element(DEVSERVE_INT16, i, 0), "-300");
	cr_expect_str_eq(element(DEVSERVE_UINT64, u, 0), "18446744073709551615");
	cr_expect_str_eq(element(DEVSERVE_BYTES, bytes, 1), "\"bc\"");
}

Test(compare, reads_no_string_past_the_end)
{
	const char beyond[] = { 1, 0, 0, 0, 'a', 3, 0, 0, 0, 'b', 'c' }, cut[] = { 1, 0, 0, 0, 'a', 3, 0 };

	cr_expect_str_eq(element(DEVSERVE_BYTES, beyond, 0), "\"a\"");
	cr_expect_str_eq(element(DEVSERVE_BYTES, beyond, 1), "no whole string");
	cr_expect_str_eq(element(DEVSERVE_BYTES, beyond, 2), "no whole string");
	cr_expect_str_eq(element(DEVSERVE_BYTES, cut, 1), "no whole string");
}
