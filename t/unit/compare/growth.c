/* SPDX-License-Identifier: MIT */
#include "compare/growth.h"

#include <criterion/criterion.h>
#include <math.h>

#include <devserve/deployment.h>

#include "array/array.h"
#include "compare/compare.h"

#define ROWS 64
#define TERMS 8192

static float terms[ROWS][TERMS];
static double exact[ROWS];
static float forwards[ROWS], backwards[ROWS], in_halves[ROWS];

static float to_half(float f)
{
	uint16_t half;

	array_narrow(DEVSERVE_FP16, &f, &half, 1);
	array_widen(DEVSERVE_FP16, &half, &f, 1);
	return f;
}

/* The same sums in different orders, and by fewer digits. */
static void sum(void)
{
	uint32_t random = 1;

	for (int r = 0; r < ROWS; r++) {
		exact[r] = forwards[r] = backwards[r] = in_halves[r] = 0;
		for (int i = 0; i < TERMS; i++) {
			random = random * 1664525 + 1013904223;
			terms[r][i] = (float)(random >> 8) / 0x1p24f - 0.25f;
			exact[r] += (double)terms[r][i];
			forwards[r] += terms[r][i];
			in_halves[r] = to_half(in_halves[r] + terms[r][i]);
		}
		for (int i = TERMS; i-- > 0;)
			backwards[r] += terms[r][i];
	}
}

TestSuite(growth, .init = sum);

Test(growth, forgives_a_sum_in_another_order)
{
	struct comparison c;
	struct growth g;

	compare(DEVSERVE_FP32, forwards, backwards, ROWS, tolerance_of(DEVSERVE_FP32), &c);
	cr_expect(!comparison_agrees(&c), "tolerances alone don't");
	growth_measure(DEVSERVE_FP32, forwards, backwards, exact, ROWS, &g);
	cr_expect(growth_is_fine(&g), "%g after %g", g.after, g.before);
}

Test(growth, sees_a_sum_of_fewer_digits)
{
	struct growth g;

	growth_measure(DEVSERVE_FP32, forwards, in_halves, exact, ROWS, &g);
	cr_expect(!growth_is_fine(&g));
	cr_expect_gt(g.after, 100 * g.before);
}

Test(growth, sees_one_wrong_element_and_where)
{
	struct growth g;

	backwards[17] *= 1.01f;
	growth_measure(DEVSERVE_FP32, forwards, backwards, exact, ROWS, &g);
	cr_expect(!growth_is_fine(&g));
	cr_expect_eq(g.at, 17);
}

Test(growth, wants_numbers_where_there_were_some)
{
	struct growth g;

	backwards[3] = NAN;
	growth_measure(DEVSERVE_FP32, forwards, backwards, exact, ROWS, &g);
	cr_expect(!growth_is_fine(&g));
	cr_expect_eq(g.n_strange, 1);
	forwards[3] = NAN;
	growth_measure(DEVSERVE_FP32, forwards, backwards, exact, ROWS, &g);
	cr_expect(growth_is_fine(&g), "it was none before");
}

Test(growth, blames_nobody_for_the_last_digit)
{
	float before[] = { 1 }, after[] = { nextafterf(1, 2) };
	double reference[] = { 1 };
	struct growth g;

	growth_measure(DEVSERVE_FP32, before, after, reference, 1, &g);
	cr_expect_eq(g.before, 0);
	cr_expect(growth_is_fine(&g));
}
