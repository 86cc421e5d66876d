/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "ring/crash.h"
#include "serve/finding.h"

#define IMAGE "/p/.devserve/generations/7/k/000002-1.so"
#define WORKER "/usr/libexec/devserve/devserve-worker"

static const char freed[] =
	"==3==ERROR: AddressSanitizer: heap-use-after-free on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
	"READ of size 4 at 0x6 thread T0\n"
	"    #0 0x7f01  (/usr/lib/libasan.so.8+0x4814a) (BuildId: 12)\n"
	"    #1 0x7f02  (" IMAGE "+0x2629)\n"
	"    #2 0x5601  (" WORKER "+0x120a)\n"
	"    #3 0x7f03  (/lib/libc.so.6+0x27249)\n"
	"\n"
	"0x6 is located 0 bytes inside of 40-byte region [0x6,0x7)\n"
	"freed by thread T0 here:\n"
	"    #0 0x7f04  (/usr/lib/libasan.so.8+0xb76a8)\n"
	"    #1 0x7f05  (" IMAGE "+0x259f)\n"
	"\n"
	"previously allocated by thread T0 here:\n"
	"    #0 0x7f06  (/usr/lib/libasan.so.8+0xb89cf)\n"
	"    #1 0x5602  (" WORKER "+0x220a)\n"
	"\n";

Test(finding, stacks_are_those_of_the_plugin_each_with_its_role)
{
	struct finding *f = finding_read(freed);

	cr_assert_eq(f->n_stacks, 2); /* the worker's own is none */
	cr_assert_str_eq(f->roles[0], "");
	cr_assert_str_eq(f->roles[1], "freed here");
	cr_assert_eq(f->crash->n_frames, 4);
	cr_assert_str_eq(f->crash->modules[0].path, IMAGE);
	cr_assert_eq(f->crash->frames[0].pc - f->crash->modules[0].base, 0x2629);
	cr_assert_eq(f->crash->frames[1].pc, 0);
	cr_assert_eq(f->crash->frames[2].pc - f->crash->modules[0].base, 0x259f);
	cr_assert_eq(f->place.line, 0);
	cr_assert_null(f->variable_name);
	finding_free(f);
}

Test(finding, a_report_may_name_its_place_itself)
{
	struct finding *f = finding_read("/p/a b/k.c:14:33: runtime error: signed integer overflow\n");

	cr_assert_str_eq(f->place.file, "/p/a b/k.c");
	cr_assert_eq(f->place.line, 14);
	cr_assert_eq(f->place.column, 33);
	cr_assert_eq(f->n_stacks, 0);
	finding_free(f);
}

Test(finding, variables_have_places)
{
	struct finding *f = finding_read("==3==ERROR: AddressSanitizer: global-buffer-overflow on address 0x6\n"
					 "READ of size 4 at 0x6 thread T0\n"
					 "0x6 is located 0 bytes to the right of global variable 'g' defined in "
					 "'/p/k.c:3:5' (0x5) of size 16\n");

	cr_assert_str_eq(f->variable_name, "g");
	cr_assert_str_eq(f->variable.file, "/p/k.c");
	cr_assert_eq(f->variable.line, 3);
	cr_assert_eq(f->variable.column, 5);
	finding_free(f);
	f = finding_read("==3==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x6\n"
			 "    [32, 48) 's' (line 5) <== Memory access at offset 48 overflows this variable\n");
	cr_assert_str_eq(f->variable_name, "s");
	cr_assert_null(f->variable.file);
	cr_assert_eq(f->variable.line, 5);
	finding_free(f);
}

Test(finding, frames_without_end_are_cut)
{
	char text[64 * 100 + 1] = "", *at = text;
	struct finding *f;

	for (int i = 0; i < 100; i++)
		at += snprintf(at, 64, "    #%d 0x1  (/m%d/generations/k.so+0x%x)\n", i, i, i);
	f = finding_read(text);
	cr_assert_leq(f->crash->n_frames, CRASH_FRAMES);
	cr_assert_leq(f->crash->n_modules, CRASH_MODULES);
	cr_assert_eq(f->n_stacks, 1);
	finding_free(f);
}
