/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "build/build.h"
#include "build/figures.h"
#include "build/names.h"

static char scale4[] = "scale<float, 4>", scale2[] = "scale<int, 2>", table[] = "table";
static char *kernels[] = { scale4, scale2, table, NULL };
static unsigned lines[] = { 3, 4, 5 };
static const struct recipe recipe = { .kernels = kernels, .kernel_lines = lines };

static const char first[] = "devserve-kernel\t_Z5scaleIfLi4EEvPT_\tscale<float, 4>\n"
			    "devserve-kernel\t\tscale<int, 2>\tidentifier \"scale\" is undefined\n"
			    "devserve-kernel\ttable\ttable\n"
			    "k.cu(3): warning: careful\n";
static const char second[] = "devserve-kernel\t_Z5scaleIfLi4EEvPT_\tscale<float, 4>\n"
			     "devserve-kernel\t\tscale<int, 2>\tno instance of it\n"
			     "devserve-kernel\t\ttable\tidentifier \"table\" is undefined\n"
			     "devserve-kernel\t\tanother's\twhatever\n";

Test(names, what_a_source_knows_is_read_and_messages_stay)
{
	struct names n;
	struct buffer rest = BUFFER_NULL, text = BUFFER_NULL;

	names_init(&n, &recipe);
	names_put(&n, &text);
	cr_expect_eq(text.size, 0, "nothing is known of any");
	names_read(&n, first, &rest);
	cr_expect_str_eq(buffer_text(&rest), "k.cu(3): warning: careful\n");
	names_read(&n, second, &rest);
	cr_expect(n.at[0].known && n.at[2].known && !n.at[1].known);
	cr_expect_eq(n.at[1].line, 4);
	names_put(&n, &text);
	cr_expect_str_eq(buffer_text(&text), "devserve kernels\n"
					     "_Z5scaleIfLi4EEvPT_\tscale<float, 4>\n"
					     "table\ttable\n"
					     "_Z5scaleIfLi4EEvPT_\tscale<float, 4>\n");
	names_fini(&n);
	buffer_fini(&rest);
	buffer_fini(&text);
}

Test(names, a_source_that_could_not_make_it_says_more_than_one_that_has_never_heard_of_it)
{
	struct names n;
	struct buffer rest = BUFFER_NULL;

	names_init(&n, &recipe);
	names_read(&n, second, &rest);
	names_read(&n, first, &rest);
	cr_expect_str_eq(n.at[1].reason, "no instance of it");
	names_fini(&n);
	buffer_fini(&rest);
}

Test(names, figures_are_of_kernels_as_the_author_calls_them)
{
	struct figures f = FIGURES_NULL;
	struct names n;
	struct buffer rest = BUFFER_NULL;

	names_init(&n, &recipe);
	names_read(&n, first, &rest);
	figures_read(&f, "ptxas info    : Compiling entry function '_Z5scaleIfLi4EEvPT_' for 'sm_90'\n"
			 "ptxas info    : Compiling entry function '_Z5otherPf' for 'sm_90'\n", &n, &rest);
	cr_assert_eq(f.n, 2);
	cr_expect_str_eq(f.at[0].name, "scale<float, 4>");
	cr_expect_str_eq(f.at[1].name, "other(float*)");
	cr_expect(n.at[0].is_kernel);
	cr_expect(!n.at[2].is_kernel, "a variable is known, too");
	figures_fini(&f);
	names_fini(&n);
	buffer_fini(&rest);
}
