/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "replica/sanitizer.h"

static struct sanitizer_report report;

static bool take(const char *line)
{
	return sanitizer_report_take(&report, line, strlen(line));
}

Test(sanitizer, lines_of_the_deployment_stay_its_own)
{
	cr_assert(!take("step 3: runtime error: none"));
	cr_assert(!take("=== results ==="));
	cr_assert(!take(""));
	cr_assert_eq(report.text.size, 0);
}

Test(sanitizer, a_report_begins_with_its_first_line_and_ends_before_the_shadow)
{
	cr_assert(take("================================================================="));
	cr_assert(take("==12==ERROR: AddressSanitizer: double-free on 0x604000000150 in thread T0:"));
	cr_assert(take("    #0 0x7f01  (/a/b.so+0x12)"));
	cr_assert(take("SUMMARY: AddressSanitizer: double-free (/a/b.so+0x12)"));
	cr_assert(take("Shadow bytes around the buggy address:"));
	cr_assert(take("=>0x0c047fff8000: fa fa 00 00"));
	cr_assert_str_eq(report.text.data, "==12==ERROR: AddressSanitizer: double-free on 0x604000000150 in thread T0:\n"
					   "    #0 0x7f01  (/a/b.so+0x12)\n");
	cr_assert_str_eq(sanitizer_tool(report.text.data), "AddressSanitizer");
}

Test(sanitizer, a_report_without_an_end_is_cut)
{
	char line[1000];

	memset(line, 'x', sizeof(line));
	cr_assert(take("k.c:3:7: runtime error: shift exponent 32 is too large for 32-bit type 'int'"));
	for (int i = 0; i < 100; i++)
		cr_assert(sanitizer_report_take(&report, line, sizeof(line)));
	cr_assert_leq(report.text.size, SANITIZER_MAX_REPORT);
	cr_assert_str_eq(sanitizer_tool(report.text.data), "UndefinedBehaviorSanitizer");
}

static void describes(const char *text, const char *what)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	sanitizer_describe(text, &b);
	cr_assert_str_eq(buffer_text(&b), what);
}

Test(sanitizer, what_was_found_is_part_of_a_sentence)
{
	describes("==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "WRITE of size 4 at 0x6 thread T0\n"
		  "0x6 is located 0 bytes to the right of 40-byte region [0x5,0x6)\nallocated by thread T0 here:\n",
		  "heap-buffer-overflow: wrote 4 bytes, 0 bytes after 40-byte region");
	describes("==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "READ of size 1 at 0x6 thread T0\n0x6 is located 3 bytes after 40-byte region [0x5,0x6)\n",
		  "heap-buffer-overflow: read 1 byte, 3 bytes after 40-byte region");
	describes("==1==ERROR: AddressSanitizer: attempting double-free on 0x6 in thread T0:\n"
		  "0x6 is located 0 bytes inside of 40-byte region [0x5,0x6)\n",
		  "attempting double-free, 0 bytes inside of 40-byte region");
	describes("/p/k.c:3:7: runtime error: signed integer overflow: 4 + 2147483644 cannot be represented in type "
		  "'int'\n    #0 0x7\n",
		  "signed integer overflow: 4 + 2147483644 cannot be represented in type 'int'");
}

Test(sanitizer, a_variable_is_named)
{
	describes("==1==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "WRITE of size 4 at 0x6 thread T0\nAddress 0x6 is located in stack of thread T0 at offset 48 in frame\n"
		  "  This frame has 1 object(s):\n"
		  "    [32, 48) 's' (line 5) <== Memory access at offset 48 overflows this variable\n",
		  "stack-buffer-overflow: wrote 4 bytes, beyond the variable 's' (line 5)");
	describes("==1==ERROR: AddressSanitizer: stack-buffer-underflow on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "READ of size 4 at 0x6 thread T0\n"
		  "    [32, 48) 's' (line 5) <== Memory access at offset 28 underflows this variable\n",
		  "stack-buffer-underflow: read 4 bytes, before the variable 's' (line 5)");
}

Test(sanitizer, a_tensor_is_called_by_its_name)
{
	describes("==devserve== 0x50 the output Y[8,16]\n==devserve== 0x5 the input X[10]\n"
		  "==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x2d at pc 0x7 bp 0x8 sp 0x9\n"
		  "READ of size 4 at 0x2d thread T0\n0x2d is located 0 bytes to the right of 40-byte region [0x5,0x2d)\n",
		  "heap-buffer-overflow: read 4 bytes, 0 bytes after the input X[10]");
	describes("==devserve== 0x5 the input X[10]\n"
		  "==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "READ of size 4 at 0x6 thread T0\n0x6 is located 0 bytes after 16-byte region [0x4,0x6)\n",
		  "heap-buffer-overflow: read 4 bytes, 0 bytes after 16-byte region");
	describes("==devserve== behind the state, which has 24 bytes\n"
		  "==1==ERROR: AddressSanitizer: use-after-poison on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "WRITE of size 8 at 0x6 thread T0\n",
		  "use-after-poison: wrote 8 bytes, behind the state, which has 24 bytes");
}

Test(sanitizer, of_several_variables_the_nearest_is_named)
{
	describes("==1==ERROR: AddressSanitizer: global-buffer-overflow on address 0x6 at pc 0x7 bp 0x8 sp 0x9\n"
		  "READ of size 4 at 0x6 thread T0\n"
		  "0x6 is located 44 bytes to the left of global variable 'h' defined in 'k.c:4:5' (0x9) of size 4\n"
		  "0x6 is located 0 bytes to the right of global variable 'g' defined in 'k.c:3:5' (0x5) of size 16\n",
		  "global-buffer-overflow: read 4 bytes, 0 bytes after global variable 'g'");
}

static const char *value_of(char **environment, const char *name)
{
	for (; *environment; environment++)
		if (strncmp(*environment, name, strlen(name)) == 0)
			return *environment + strlen(name);
	return "";
}

Test(sanitizer, whoever_set_options_or_a_library_keeps_them_behind_ours)
{
	char **environment;

	setenv("ASAN_OPTIONS", "detect_leaks=1", 1);
	setenv("LD_PRELOAD", "/lib/theirs.so", 1);
	setenv("OTHER", "stays", 1);
	environment = sanitizer_environment("/lib/libasan.so");
	cr_assert_str_eq(value_of(environment, "LD_PRELOAD="), "/lib/libasan.so:/lib/theirs.so");
	cr_assert(strstr(value_of(environment, "ASAN_OPTIONS="), ":detect_leaks=1"));
	cr_assert_str_eq(value_of(environment, "OTHER="), "stays");
	for (char **v = environment; *v; v++)
		free(*v);
	free(environment);
}
