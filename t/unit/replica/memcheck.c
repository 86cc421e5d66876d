/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "replica/memcheck.h"
#include "replica/sanitizer.h"

/* What NVIDIA's documentation of version 13 shows, with a path as --strip-paths no has it. */
static const char *const lines[] = {
	"========= COMPUTE-SANITIZER",
	"========= Invalid __global__ write of size 4 bytes",
	"=========     at out_of_bounds_function()+0xb0 in /p/demo/memcheck_demo.cu:39",
	"=========     by thread (0,0,0) in block (3,0,0)",
	"a line of the deployment",
	"=========     Address 0x87654320 is out of bounds",
	"=========     and is 137,179,965,340,896 bytes before the nearest allocation at 0x7cc43a800000 of size 1,024 bytes",
	"=========         Device Frame: out_of_bounds_kernel()+0x30 in /p/demo/memcheck_demo.cu:44",
	"=========     Saved host backtrace up to driver entry point at kernel launch time",
	"=========         Host Frame: main [0xae66] in memcheck_demo",
	"=========",
	"========= Invalid __global__ write of size 4 bytes",
	"=========     at another()+0xb0 in /p/demo/memcheck_demo.cu:1",
	"========= ERROR SUMMARY: 2 errors",
};

static struct sanitizer_report report = { .memcheck = true };

static bool take(const char *line)
{
	return sanitizer_report_take(&report, line, strlen(line));
}

static void expect_what(const char *text, const char *what)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	sanitizer_describe(text, &b);
	cr_expect_str_eq(buffer_text(&b), what);
}

static void expect_place(const char *text, const char *function, const char *file, unsigned line)
{
	char *its_function = NULL, *its_file = NULL;
	unsigned its_line = 0;

	cr_assert(memcheck_place(text, &its_function, &its_file, &its_line), "%s", text);
	cr_expect_str_eq(its_function, function);
	cr_expect_str_eq(its_file, file);
	cr_expect_eq(its_line, line);
	free(its_function);
	free(its_file);
}

Test(memcheck, the_first_finding_is_the_report_and_the_tools_lines_are_nobody_elses)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		cr_expect_eq(take(lines[i]), lines[i][0] == '=', "%s", lines[i]);
	cr_expect_not_null(strstr(report.text.data, "Device Frame"));
	cr_expect_null(strstr(report.text.data, "Host Frame"));
	cr_expect_null(strstr(report.text.data, "another"));
	cr_expect_str_eq(sanitizer_tool(report.text.data), "compute-sanitizer");
	expect_what(report.text.data, "invalid __global__ write of size 4 bytes in kernel out_of_bounds_kernel(), by thread "
				      "(0,0,0) of block (3,0,0): out of bounds, 137,179,965,340,896 bytes before the nearest "
				      "allocation, which has 1,024 bytes");
	expect_place(report.text.data, "out_of_bounds_function()", "/p/demo/memcheck_demo.cu", 39);
}

Test(memcheck, why_it_cannot_start_is_a_line_for_people)
{
	cr_expect_not(take("========= Error: Target application terminated before first instrumented API call"));
	cr_expect_not(take("========= Internal Sanitizer Error: The Sanitizer encountered an error"));
	cr_expect(take("========= ERROR SUMMARY: 0 errors"));
	cr_expect_not(take("=========="));
	cr_expect_eq(report.text.size, 0);
}

Test(memcheck, other_forms_are_read)
{
	expect_what("========= Invalid __global__ write of size 4 bytes\n"
		    "=========     at unaligned_kernel():0x160 in memcheck_demo.cu:6\n"
		    "=========     by thread (0,0,0) in block (0,0,0)\n"
		    "=========     Address 0x7f6510c00001 is misaligned\n",
		    "invalid __global__ write of size 4 bytes in kernel unaligned_kernel(), by thread (0,0,0) of block "
		    "(0,0,0): misaligned");
	expect_place("========= X\n=========     at unaligned_kernel():0x160 in memcheck_demo.cu:6\n", "unaligned_kernel()",
		     "memcheck_demo.cu", 6);
	expect_place("========= Barrier error detected. Divergent thread(s) in warp\n"
		     "=========     at void scale<float, (int)4>(T1 *, const T1 *)+0xf0 in /p/a in b.cu:79\n",
		     "void scale<float, (int)4>(T1 *, const T1 *)", "/p/a in b.cu", 79);
	expect_what("========= Malloc/Free error encountered : Double free\n"
		    "=========     at 0x79d8\n"
		    "=========     by thread (0,0,0) in block (0,0,0)\n"
		    "=========     Address 0x400aff920\n",
		    "malloc/Free error encountered : Double free, by thread (0,0,0) of block (0,0,0)");
	expect_what("========= Invalid __global__ write of size 4 bytes\n"
		    "=========     at f(int *)+0x50\n",
		    "invalid __global__ write of size 4 bytes in kernel f(int *)");
}

Test(memcheck, what_is_cut_off_or_damaged_is_read_within_its_bounds)
{
	_cleanup_buffer_ struct buffer whole = BUFFER_NULL;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		take(lines[i]);
	for (size_t n = strlen("========= X"); n < report.text.size; n++) {
		_cleanup_free_ char *part = xstrndup(report.text.data, n), *function = NULL, *file = NULL;
		unsigned line;

		buffer_reset(&whole);
		sanitizer_describe(part, &whole);
		memcheck_place(part, &function, &file, &line);
		part[n / 2] = '\n';
		sanitizer_describe(part, &whole);
		cr_expect_gt(whole.size, 0);
	}
}

/* What a worker prints has no end but its size: a long line is cut, and the rest of it lies behind. */
Test(memcheck, nothing_behind_a_line_is_read)
{
	const char blank[] = "=========         ";
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *room = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *line = room + page - strlen(blank);

	cr_assert(room != MAP_FAILED && mprotect(room + page, page, PROT_NONE) == 0);
	memcpy(line, blank, strlen(blank));
	take(lines[1]);
	cr_expect(sanitizer_report_take(&report, line, strlen(blank)));
	cr_expect(take(lines[2]));
	cr_expect_not_null(strstr(report.text.data, "memcheck_demo.cu:39"));
	munmap(room, 2 * page);
}

Test(memcheck, it_is_known_by_its_name)
{
	const char *words[MEMCHECK_MAX_WORDS];
	size_t n = memcheck_command("/usr/local/cuda/bin/compute-sanitizer", words);

	cr_expect(memcheck_is("/usr/local/cuda/bin/compute-sanitizer"));
	cr_expect(!memcheck_is("/usr/lib/libasan.so") && !memcheck_is(NULL));
	cr_expect_str_eq(sanitizer_of("/usr/local/cuda/bin/compute-sanitizer"), "compute-sanitizer");
	cr_expect_str_eq(sanitizer_of("/usr/lib/libasan.so"), "AddressSanitizer");
	cr_expect_null(sanitizer_of(NULL));
	cr_assert_leq(n, MEMCHECK_MAX_WORDS);
	cr_expect_str_eq(words[0], "/usr/local/cuda/bin/compute-sanitizer");
	cr_expect_str_eq(words[2], "memcheck");
}
