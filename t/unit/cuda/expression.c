/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "cuda/expression.h"

static void expect_tidy(const char *text, const char *expected)
{
	char *tidy = expression_tidy(text);

	cr_expect_str_eq(tidy, expected, "%s", text);
	free(tidy);
}

Test(expression, blanks_count_between_words_only)
{
	expect_tidy("scale<float, 4>", "scale<float,4>");
	expect_tidy("  a :: scale < unsigned  int ,\t4 > ", "a::scale<unsigned int,4>");
	expect_tidy("pair< pair<int> >", "pair<pair<int>>");
	expect_tidy("(void (*)(int *)) over", "(void(*)(int*))over");
	expect_tidy("", "");
	expect_tidy(" ", "");
}
