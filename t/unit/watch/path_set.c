/* SPDX-License-Identifier: MIT */
#include "watch/path_set.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

Test(path_set, an_empty_one_has_nothing)
{
	struct path_set set = PATH_SET_NULL;

	cr_expect_null(path_set_find(&set, "/a"));
	cr_expect_null(path_set_sorted(&set));
	path_set_fini(&set);
}

Test(path_set, each_path_is_there_once_and_in_order)
{
	const char *names[] = { "/b", "/a/b", "/a", "/a", "/a-b", "/b" };
	const char *expected[] = { "/a", "/a-b", "/a/b", "/b" };
	struct path_set set = PATH_SET_NULL;
	const char **sorted;

	for (size_t i = 0; i < 6; i++)
		path_set_add(&set, names[i]);
	cr_assert_eq(set.n_paths, 4);
	sorted = path_set_sorted(&set);
	for (size_t i = 0; i < 4; i++)
		cr_expect_str_eq(sorted[i], expected[i]);
	free(sorted);
	path_set_fini(&set);
}

Test(path_set, a_slot_keeps_what_was_noted_while_the_set_grows)
{
	struct path_set set = PATH_SET_NULL;
	char path[32];

	path_set_add(&set, "/noted")->open = true;
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/p/%d", i);
		cr_expect(!path_set_add(&set, path)->open);
	}
	cr_assert_eq(set.n_paths, 5001);
	cr_expect(path_set_find(&set, "/noted")->open);
	cr_expect_not_null(path_set_find(&set, "/p/4999"));
	cr_expect_null(path_set_find(&set, "/p/5000"));
	path_set_fini(&set);
	cr_expect_eq(set.n_paths, 0);
}
