/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>

#include "base/memory.h"
#include "config/scalar.h"

static void all_are(const char *const *texts, size_t n, enum scalar kind)
{
	double number;

	for (size_t i = 0; i < n; i++)
		cr_expect_eq(scalar_resolve(texts[i], &number), kind, "'%s'", texts[i]);
}

Test(scalar, follows_the_core_schema_of_yaml_1_2)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	static const char *const bools[] = { "true", "True", "TRUE", "false", "False", "FALSE" };
	static const char *const numbers[] = {
		"0", "-0", "+12", "012", "0o14", "0xC", "0.", "-.5", "+12e03", "-2E+05", "1.5e-3",
		".inf", "-.Inf", "+.INF", ".NAN",
	};
	static const char *const texts[] = {
		"yes", "no", "on", "off", "nULL", "tRUE", "-", "+", ".", "-.", "e5", "1e", "1e+", "1_000", "0x",
		"0xg", "-0x1", "0o8", "0b1", "1.2.3", "12:30", "inf", "nan", "-.nan", "1 ", "++1", "~~",
	};

	all_are(nulls, ARRAY_SIZE(nulls), SCALAR_NULL);
	all_are(bools, ARRAY_SIZE(bools), SCALAR_BOOL);
	all_are(numbers, ARRAY_SIZE(numbers), SCALAR_NUMBER);
	all_are(texts, ARRAY_SIZE(texts), SCALAR_TEXT);
}

Test(scalar, knows_the_value)
{
	static const struct {
		const char *text;
		double value;
	} rows[] = {
		{ "012", 12 }, { "0o14", 12 }, { "0xC", 12 }, { "+12e03", 12000 }, { "-.5", -0.5 }, { "7.", 7 },
		{ "-.inf", -INFINITY }, { "TRUE", 1 }, { "False", 0 },
	};
	double number;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scalar_resolve(rows[i].text, &number);
		cr_expect_eq(number, rows[i].value, "%s is %g", rows[i].text, number);
	}
	scalar_resolve(".nan", &number);
	cr_expect(isnan(number));
}

Test(scalar, knows_which_numbers_json_writes_so)
{
	static const char *const same[] = { "0", "-0", "10", "-1.5", "0.5e-3", "1E+5" };
	static const char *const others[] = { "+1", "01", "-01", ".5", "5.", "0x1", "1e", "-", ".inf", "" };

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		cr_expect(scalar_is_json_number(same[i]), "%s", same[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_not(scalar_is_json_number(others[i]), "%s", others[i]);
}
