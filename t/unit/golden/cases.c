/* SPDX-License-Identifier: MIT */
#include "golden/cases.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

static char directory[] = "/tmp/golden.XXXXXX";

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(directory));
}

static void tear_down(void)
{
	file_remove_tree(directory);
}

TestSuite(golden, .init = set_up, .fini = tear_down);

static void make_case(const char *name, const char *json)
{
	_cleanup_free_ char *in = xasprintf("%s/golden/%s/in", directory, name);
	_cleanup_free_ char *path = xasprintf("%s/golden/%s/case.json", directory, name);

	cr_assert_eq(file_make_directories(in), 0);
	if (json)
		cr_assert_eq(file_write(path, json, strlen(json), 0644), 0);
}

Test(golden, there_are_none_where_no_directory_is)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct golden_cases *g;

	cr_assert_eq(golden_cases_read(directory, (struct hash){ 0 }, &g, &why), 0);
	cr_expect_eq(g->n, 0);
	golden_cases_unref(g);
}

Test(golden, are_listed_by_name_with_their_tolerances)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ char *aside = xasprintf("%s/golden/notes", directory);
	struct golden_cases *g;

	make_case("odd", "{\"tolerance\": {\"Y\": {\"rtol\": 0.5, \"atol\": 0}}, \"says\": \"anything\"}");
	make_case("even", NULL);
	cr_assert_eq(file_make_directories(aside), 0); /* has no inputs: it is something else */
	cr_assert_eq(golden_cases_read(directory, (struct hash){ 0 }, &g, &why), 0, "%s", buffer_text(&why));
	cr_assert_eq(g->n, 2);
	cr_expect_str_eq(g->cases[0].name, "even");
	cr_expect_null(golden_case_tolerance(&g->cases[0], "Y"));
	cr_assert_not_null(golden_case_tolerance(&g->cases[1], "Y"));
	cr_expect_float_eq(golden_case_tolerance(&g->cases[1], "Y")->rtol, 0.5, 0);
	cr_expect_null(golden_case_tolerance(&g->cases[1], "Z"));
	golden_cases_unref(g);
}

Test(golden, that_were_recorded_with_other_weights_are_told_apart)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct golden_cases *g;

	make_case("a", "{\"weights\": \"00000000000000010000000000000002\"}");
	make_case("b", "{\"weights\": \"00000000000000010000000000000003\"}");
	make_case("c", "{}");
	cr_assert_eq(golden_cases_read(directory, (struct hash){ 1, 2 }, &g, &why), 0, "%s", buffer_text(&why));
	cr_assert_eq(g->n, 3);
	cr_expect_not(golden_case_has_other_weights(g, &g->cases[0]));
	cr_expect(golden_case_has_other_weights(g, &g->cases[1]));
	cr_expect_not(golden_case_has_other_weights(g, &g->cases[2]), "it doesn't say");
	golden_cases_unref(g);
}

Test(golden, with_a_wrong_file_are_refused_by_a_sentence)
{
	static const char *const wrong[] = {
		"", "{", "[]", "{\"tolerance\": {\"Y\": 1e-3}}", "{\"tolerance\": {\"Y\": {\"rtol\": 1}}}",
		"{\"tolerance\": {\"Y\": {\"rtol\": -1, \"atol\": 0}}}", "{\"tolerance\": {\"Y\": {\"rtol\": \"1\", \"atol\": 0}}}",
		"{\"weights\": 1}", "{\"weights\": \"12\"}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		_cleanup_buffer_ struct buffer why = BUFFER_NULL;
		struct golden_cases *g;

		make_case("odd", wrong[i]);
		cr_expect_eq(golden_cases_read(directory, (struct hash){ 0 }, &g, &why), 1, "%s", wrong[i]);
		cr_expect(strstr(buffer_text(&why), "odd/case.json: "), "%s", buffer_text(&why));
	}
}
