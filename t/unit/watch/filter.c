/* SPDX-License-Identifier: MIT */
#include "watch/filter.h"

#include <criterion/criterion.h>

#include "base/memory.h"

static void expect(const char *const *names, size_t n, bool wanted)
{
	for (size_t i = 0; i < n; i++)
		cr_expect(filter_wants_file(names[i]) == wanted, "%s is %s", names[i],
			  wanted ? "not wanted" : "wanted");
}

Test(filter, sources_headers_weights_and_configuration_are_wanted)
{
	const char *names[] = {
		"k.c", "k.cc", "k.cpp", "k.cxx", "k.S", "k.cu", "k.h", "k.hh",
		"k.hpp", "k.hxx", "k.cuh", "k.inc", "k.inl", "k.ipp", "k.tcc", "k.def",
		"_k.h", "a.b.c", "k~.c", "x y.c", "\xff.c", "deployment.yaml", "deployment.yml",
		"w.safetensors",
	};

	expect(names, ARRAY_SIZE(names), true);
}

Test(filter, what_editors_leave_is_not_wanted)
{
	const char *names[] = {
		"k.c~", "#k.c#", ".#k.c", ".k.c.swp", ".k.c.swx", "4913", "sedAbC123",
		"k.c___jb_tmp___", "k.c___jb_old___", ".subl1f2.tmp", "k.c.swp", "flycheck_k.c",
		"#k.c", "k.c.orig", ".k.c", "k.c.AbCdEf",
	};

	expect(names, ARRAY_SIZE(names), false);
}

Test(filter, products_and_what_has_no_suffix_are_not_wanted)
{
	const char *names[] = {
		"k.o", "k.so", "k.d", "k.s", "k.i", "k.C", "k.", ".c", "c", "Makefile", "vector",
		"config.yaml", "deployment.json", "README.md", "k.py",
	};

	expect(names, ARRAY_SIZE(names), false);
}

Test(filter, hidden_directories_are_not_entered)
{
	cr_expect(!filter_enters_directory(".git"));
	cr_expect(!filter_enters_directory(".devserve"));
	cr_expect(!filter_enters_directory(".."));
	cr_expect(filter_enters_directory("matmul"));
	cr_expect(filter_enters_directory("_shared"));
}
