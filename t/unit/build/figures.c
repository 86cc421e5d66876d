/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "build/figures.h"

static const char nvrtc[] = "k.cu(3): warning #177-D: variable \"x\" was declared but never referenced\n"
			    "    int x;\n"
			    "        ^\n"
			    "\n"
			    "ptxas info    : 0 bytes gmem\n"
			    "ptxas info    : Compiling entry function 'softmax' for 'sm_90'\n"
			    "ptxas info    : Function properties for softmax\n"
			    "ptxas         .     32 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\n"
			    "ptxas info    : Used 12 registers, used 1 barriers, 32 bytes cumulative stack size, 256 bytes smem\n"
			    "ptxas info    : Compile time = 18.418 ms\n"
			    "\n";
static const char nvcc[] = "ptxas info    : Compiling entry function '_Z5twicePf' for 'sm_90'\n"
			   "ptxas info    : Function properties for _Z5twicePf\n"
			   "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
			   "ptxas info    : Used 255 registers, used 0 barriers, 360 bytes cmem[0]\n";

Test(figures, what_nvrtc_prints_is_read_and_messages_stay)
{
	struct figures f = FIGURES_NULL;
	struct buffer rest = BUFFER_NULL;

	figures_read(&f, nvrtc, NULL, &rest);
	cr_assert_eq(f.n, 1);
	cr_assert_str_eq(f.at[0].name, "softmax");
	cr_assert_eq(f.at[0].registers, 12);
	cr_assert_str_eq(f.at[0].architecture, "sm_90");
	cr_assert_eq(f.at[0].spilled, 20);
	cr_assert_eq(f.at[0].stack, 32);
	cr_assert_eq(f.at[0].shared, 256);
	cr_assert_str_eq(buffer_text(&rest),
			 "k.cu(3): warning #177-D: variable \"x\" was declared but never referenced\n"
			 "    int x;\n"
			 "        ^\n");
	figures_fini(&f);
	buffer_fini(&rest);
}

Test(figures, what_nvcc_prints_follows_with_names_as_the_source_has_them)
{
	struct figures f = FIGURES_NULL, copy = FIGURES_NULL;
	struct buffer rest = BUFFER_NULL;

	figures_read(&f, nvrtc, NULL, &rest);
	figures_read(&f, nvcc, NULL, &rest);
	cr_assert_eq(f.n, 2);
	cr_assert_str_eq(f.at[1].name, "twice(float*)");
	cr_assert_eq(f.at[1].registers, 255);
	cr_assert_eq(f.at[1].spilled + f.at[1].stack + f.at[1].shared, 0);
	figures_copy(&copy, f.at, f.n);
	figures_fini(&f);
	cr_assert_str_eq(copy.at[1].name, "twice(float*)");
	figures_fini(&copy);
	buffer_fini(&rest);
}

Test(figures, other_text_is_no_figure)
{
	struct figures f = FIGURES_NULL;
	struct buffer rest = BUFFER_NULL;

	figures_read(&f, "ptxas error   : Entry function 'k' uses too much shared data\n", NULL, &rest);
	cr_assert_eq(f.n, 0);
	cr_assert_str_eq(buffer_text(&rest), "ptxas error   : Entry function 'k' uses too much shared data\n");
	buffer_fini(&rest);
}
