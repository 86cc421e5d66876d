/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "nvrtc/names.h"

/* As NVRTC 13.0 says it. */
static const char complaints[] =
	"__nv_name_map(2): error: identifier \"scal\" is undefined\n"
	"  #pragma nv_mangled_name scal<float, 4>\n"
	"                          ^\n"
	"\n"
	"__nv_name_map(2): error: Error in parsing name expression for lowered name lookup. Input name expression was: "
	"\" scal < float, 4 >\"\n"
	"  #pragma nv_mangled_name scal<float, 4>\n"
	"                          ^\n"
	"\n"
	"__nv_name_map(5): error: Name expression cannot form address of a non-__global__ function. Input name "
	"expression was: \" dev < float >\"\n"
	"  #pragma nv_mangled_name dev<float>\n"
	"                          ^\n"
	"\n"
	"k.cu(4): error: expression must have pointer-to-class type but it has type \"float *\"\n"
	"\n"
	"4 errors detected in the compilation of \"k.cu\".\n";

Test(names, are_taken_out_of_the_options)
{
	const char *options[] = { "-lineinfo", "--devserve-kernel=scale<float, 4>", "-DX", "--devserve-kernel=b" };
	struct names n;

	cr_assert_eq(names_take(&n, options, 4), 2);
	cr_expect_str_eq(options[1], "-DX");
	cr_assert_eq(n.n, 2);
	cr_expect_str_eq(n.at[0].expression, "scale<float, 4>");
}

Test(names, those_that_the_compiler_complains_of_are_dropped_each_with_why)
{
	const char *options[] = { "--devserve-kernel=scale<float, 4>", "--devserve-kernel=scal<float, 4>",
				  "--devserve-kernel=dev<float>", "--devserve-kernel=scal<float, 4>" };
	struct names n;

	names_take(&n, options, 4);
	cr_expect_eq(names_drop_unknown(&n, complaints), 3);
	cr_expect_null(n.at[0].reason);
	cr_expect_str_eq(n.at[1].reason, "identifier \"scal\" is undefined");
	cr_expect_str_eq(n.at[2].reason, "Name expression cannot form address of a non-__global__ function");
	cr_expect_str_eq(n.at[3].reason, "identifier \"scal\" is undefined", "it is there twice");
	cr_expect_eq(names_drop_unknown(&n, complaints), 0, "there is nothing left to drop");
}
