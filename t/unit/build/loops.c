/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/loop_change.h"
#include "build/loops.h"
#include "build/remarks.h"

/* Each test has a directory; texts of the compiler say @ for it. */

static char directory[] = "/tmp/devserve-loops-XXXXXX";

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
}

static void teardown(void)
{
	file_remove_tree(directory);
}

TestSuite(loops, .init = setup, .fini = teardown);

static void write_source(const char *text)
{
	_cleanup_free_ char *path = path_join(directory, "a.c");

	cr_assert_eq(file_write(path, text, strlen(text), 0600), 0);
}

static struct loops told(const char *text)
{
	_cleanup_buffer_ struct buffer full = BUFFER_NULL;
	struct loops l = LOOPS_NULL;

	for (; *text; text++)
		*text == '@' ? buffer_puts(&full, directory) : buffer_putc(&full, *text);
	remarks_read(&l, buffer_text(&full), directory);
	return l;
}

static void expect(const struct loops *l, size_t i, unsigned line, unsigned bytes, const char *reason)
{
	const struct loop *loop = &l->files[0].loops[i];

	cr_assert_gt(l->files[0].n_loops, i);
	cr_expect_eq(loop->line, line);
	cr_expect_eq(loop->bytes, bytes);
	cr_expect_str_eq(loop->reason ? loop->reason : "", reason);
}

Test(loops, what_gcc_tells_is_read)
{
	struct loops l = told("@/a.c:4:23: optimized: loop vectorized using 16 byte vectors\n"
			      "@/a.c:4:23: optimized: loop vectorized using 32 byte vectors\n"
			      "@/a.c:16:23: missed: couldn't vectorize loop\n"
			      "@/a.c:16:23: missed: not vectorized: multiple nested loops.\n"
			      "@/a.c:12:24: missed: couldn't vectorize loop\n"
			      "@/a.c:13:14: missed: statement clobbers memory: _5 = ext (_4);\n"
			      " scalar_type: float\n"
			      "@/a.c:19:25: optimized:  loop versioned for vectorization because of possible aliasing\n"
			      "@/a.c:30:1: optimized: basic block part vectorized using 64 byte vectors\n"
			      "/usr/include/c++/12/bits/stl_algo.h:3:1: optimized: loop vectorized using 32 byte vectors\n");

	cr_assert_eq(l.n_files, 1);
	cr_assert_eq(l.files[0].n_loops, 3);
	expect(&l, 0, 4, 32, "");
	expect(&l, 1, 12, 0, "statement clobbers memory: _5 = ext (_4); (line 13)");
	expect(&l, 2, 16, 0, "multiple nested loops");
	loops_fini(&l);
}

Test(loops, what_clang_tells_is_read)
{
	struct loops l;

	write_source("any\n");
	l = told("--- !Passed\nPass:            loop-vectorize\nName:            Vectorized\n"
		 "DebugLoc:        { File: a.c, Line: 4, Column: 2 }\nFunction:        f\nArgs:\n"
		 "  - String:          'vectorized loop (vectorization width: '\n"
		 "  - VectorizationFactor: '8'\n  - String:          ', interleaved count: '\n"
		 "  - InterleaveCount: '4'\n  - String:          ')'\n...\n"
		 "--- !Analysis\nName:            CantVectorizeLibcall\n"
		 "DebugLoc:        { File: '@/a.c', Line: 11, Column: 10 }\nArgs:\n"
		 "  - String:          'loop not vectorized: '\n"
		 "  - String:          call instruction cannot be vectorized\n...\n"
		 "--- !Missed\nName:            MissedDetails\n"
		 "DebugLoc:        { File: '@/a.c', Line: 10, Column: 2 }\nArgs:\n"
		 "  - String:          loop not vectorized\n...\n"
		 "--- !Passed\nName:            Vectorized\n"
		 "DebugLoc:        { File: /usr/include/x.h, Line: 4, Column: 2 }\n...\n"
		 "--- !Passed\nName:            Vectorized\nDebugLoc:        { File: include/x.h, Line: 4, Column: 2 }\n...\n"
		 "--- !Passed\nName:            Vectorized\nArgs:\n...\n--- !Passed");

	cr_assert_eq(l.n_files, 1);
	cr_assert_eq(l.files[0].n_loops, 2);
	cr_expect_eq(l.files[0].loops[0].lanes, 8);
	expect(&l, 0, 4, 0, "");
	expect(&l, 1, 10, 0, "call instruction cannot be vectorized");
	loops_fini(&l);
}

Test(loops, a_loop_that_is_vectorised_in_one_place_is_vectorised)
{
	struct loops l = told("@/a.c:4:23: missed: couldn't vectorize loop\n"
			      "@/a.c:4:23: missed: not vectorized: control flow in loop.\n"
			      "@/a.c:4:23: optimized: loop vectorized using 32 byte vectors\n");
	struct loops other = told("@/a.c:4:23: optimized: loop vectorized using 64 byte vectors\n");

	expect(&l, 0, 4, 32, "control flow in loop");
	loops_add(&l, &other);
	cr_expect_eq(l.files[0].n_loops, 1);
	expect(&l, 0, 4, 64, "control flow in loop");
	loops_fini(&l);
	loops_fini(&other);
}

Test(loops, a_note_holds_all_of_it)
{
	struct loops l, read = LOOPS_NULL;
	struct buffer note = BUFFER_NULL, again = BUFFER_NULL;

	write_source("one\ntwo\nthree\n");
	l = told("@/a.c:2:3: missed: couldn't vectorize loop\n@/a.c:2:3: missed: not vectorized: why not.\n"
		 "@/a.c:3:1: optimized: loop vectorized using 32 byte vectors\n");
	cr_assert_eq(l.files[0].n_lines, 3);
	loops_put(&l, &note);
	cr_assert(loops_take(&read, buffer_text(&note)));
	loops_put(&read, &again);
	cr_assert_str_eq(buffer_text(&note), buffer_text(&again));
	for (size_t cut = 1; cut < note.size; cut++) {
		struct loops none = LOOPS_NULL;

		note.data[note.size - cut] = '\0';
		loops_take(&none, note.data); /* whatever it is of it, it may not be read beyond */
		loops_fini(&none);
	}
	loops_fini(&l);
	loops_fini(&read);
	buffer_fini(&note);
	buffer_fini(&again);
}

/* Loops are those whose line says so; V: vectorised, M: not. */
static struct loops loops_of(const char *source)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	unsigned line = 1;

	write_source(source);
	for (const char *at = source; *at; at++) {
		if (*at == 'V')
			buffer_printf(&text, "@/a.c:%u:1: optimized: loop vectorized using 32 byte vectors\n", line);
		if (*at == 'M')
			buffer_printf(&text, "@/a.c:%u:1: missed: couldn't vectorize loop\n"
					     "@/a.c:%u:1: missed: not vectorized: because.\n", line, line);
		line += *at == '\n';
	}
	return told(buffer_text(&text));
}

/* @marks: what became of loops, at which line; the same texts but for V and M are the same lines. */
static void expect_changes(const char *before, const char *now, const char *expected)
{
	_cleanup_buffer_ struct buffer seen = BUFFER_NULL;
	struct loops old = loops_of(before), new = loops_of(now);
	struct loop_change *changes;
	size_t n = loops_compare(&old, &new, &changes);

	for (size_t i = 0; i < n; i++)
		buffer_printf(&seen, "%s%u%s%s", i ? " " : "", changes[i].line, changes[i].vectorised ? "+" : "-",
			      changes[i].reason ? changes[i].reason : "");
	cr_expect_str_eq(buffer_text(&seen), expected);
	free(changes);
	loops_fini(&old);
	loops_fini(&new);
}

/* As it is told of the second text, whose lines are those of the first. */
static void expect_same_lines(const char *text, const char *before, const char *now, const char *expected)
{
	_cleanup_buffer_ struct buffer seen = BUFFER_NULL;
	struct loops old, new;
	struct loop_change *changes;
	size_t n;

	write_source(text);
	old = told(before);
	new = told(now);
	n = loops_compare(&old, &new, &changes);
	for (size_t i = 0; i < n; i++)
		buffer_printf(&seen, "%s%u%s", i ? " " : "", changes[i].line, changes[i].vectorised ? "+" : "-");
	cr_expect_str_eq(buffer_text(&seen), expected);
	free(changes);
	loops_fini(&old);
	loops_fini(&new);
}

#define YES(place) "@/a.c:" place ": optimized: loop vectorized using 32 byte vectors\n"
#define NO(place) "@/a.c:" place ": missed: couldn't vectorize loop\n"

Test(loops, a_loop_that_stays_is_told_when_its_vectors_go_or_come)
{
	expect_same_lines("a\nb\nc\n", YES("2:1"), NO("2:1"), "2-");
	expect_same_lines("a\nb\nc\n", NO("2:1"), YES("2:1"), "2+");
	expect_same_lines("a\nb\nc\n", YES("2:1") NO("3:1"), YES("2:1") NO("3:1"), "");
	expect_same_lines("a\nb\nc\n", YES("2:1") NO("2:9"), NO("2:1") YES("2:9"), "2- 2+");
	expect_same_lines("a\nb\nc\n", YES("2:1"), "", "");
	expect_same_lines("a\nb\nc\n", YES("2:1") YES("2:9"), NO("2:5"), "");
}

Test(loops, a_loop_is_found_after_lines_came_and_went)
{
	expect_changes("a\nV\nb\n", "new\na\nV\nb\n", "");
	expect_changes("a\nb V\nc\n", "a\nx\nx\nb M\nc\n", "4-because");
	expect_changes("a\nV\nb\nV\nc\n", "a\nV x\nb\nM x\nc\n", "4-because");
	expect_changes("M\nb\nV\nc\n", "b\nV\nc\n", "");
}

Test(loops, a_loop_that_is_told_of_by_its_body_is_the_one_of_its_head)
{
	expect_same_lines("for\n\tif\n\t\tbreak\nfor\n", YES("1:1") YES("4:1"), NO("2:3") YES("4:1"), "1-");
	expect_same_lines("for\n\tif\n\t\tbreak\nfor\n", NO("2:3") YES("4:1"), YES("1:1") YES("4:1"), "1+");
	expect_same_lines("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n", YES("1:1"), NO("12:1"), "");
}

Test(loops, loops_of_another_number_are_not_told_apart)
{
	expect_changes("a\nV\nb\n", "a\nM\nM\nb\n", "");
	expect_changes("a\nV\nb\n", "a\nb\n", "");
	expect_changes("V\n", "M\n", "1-because");
}

/* A product of matrices, and gcc 12's words of it with -O3 -march=x86-64-v3; j inside k has vectors of 32 bytes. */
#define BY_ROWS \
	"void mm(const float *a, const float *b, float *c, long n)\n{\n" \
	"\tfor (long i = 0; i < n; i++)\n" \
	"\t\tfor (long k = 0; k < n; k++)\n" \
	"\t\t\tfor (long j = 0; j < n; j++)\n" \
	"\t\t\t\tc[i * n + j] += a[i * n + k] * b[k * n + j];\n}\n"
#define BY_ROWS_TOLD \
	"@/a.c:3:21: missed: couldn't vectorize loop\n@/a.c:3:21: missed: not vectorized: loop nest\n" \
	"@/a.c:4:22: missed: couldn't vectorize loop\n@/a.c:6:18: missed: not vectorized: complicated access pattern.\n" \
	"@/a.c:5:23: optimized: loop vectorized using 32 byte vectors\n" \
	"@/a.c:5:23: optimized: loop vectorized using 16 byte vectors\n" \
	"@/a.c:6:29: missed: couldn't vectorize loop\n@/a.c:6:22: missed: not vectorized: complicated access pattern.\n"
#define BY_COLUMNS \
	"void mm(const float *a, const float *b, float *c, long n)\n{\n" \
	"\tfor (long i = 0; i < n; i++)\n" \
	"\t\tfor (long j = 0; j < n; j++) {\n\t\t\tfloat s = 0;\n\n" \
	"\t\t\tfor (long k = 0; k < n; k++)\n" \
	"\t\t\t\ts += a[i * n + k] * b[k * n + j];\n\t\t\tc[i * n + j] = s;\n\t\t}\n}\n"
#define BY_COLUMNS_TOLD(inner) \
	"@/a.c:3:21: missed: couldn't vectorize loop\n@/a.c:3:21: missed: not vectorized: multiple nested loops.\n" \
	"@/a.c:4:22: missed: couldn't vectorize loop\n@/a.c:8:26: missed: not vectorized: not suitable for strided load\n" \
	inner

static void expect_told(const char *old_text, const char *old_told, const char *text, const char *now, const char *expected)
{
	_cleanup_buffer_ struct buffer seen = BUFFER_NULL;
	struct loop_change *changes;
	struct loops old, new;
	size_t n;

	write_source(old_text);
	old = told(old_told);
	write_source(text);
	new = told(now);
	n = loops_compare(&old, &new, &changes);
	for (size_t i = 0; i < n; i++)
		buffer_printf(&seen, "%s%u:%u %u", i ? " " : "", changes[i].line, changes[i].column, changes[i].bytes);
	cr_expect_str_eq(buffer_text(&seen), expected);
	free(changes);
	loops_fini(&old);
	loops_fini(&new);
}

Test(loops, loops_that_were_interchanged_still_have_vectors)
{
	static const char vectors[] = BY_COLUMNS_TOLD("@/a.c:7:23: optimized: loop vectorized using 16 byte vectors\n");

	expect_told(BY_COLUMNS, vectors, BY_ROWS, BY_ROWS_TOLD, "");
	expect_told(BY_ROWS, BY_ROWS_TOLD, BY_COLUMNS, vectors, "");
}

Test(loops, a_nest_is_told_by_the_loop_that_has_the_vectors_or_lost_them)
{
	static const char none[] = BY_COLUMNS_TOLD("@/a.c:7:23: missed: couldn't vectorize loop\n");

	expect_told(BY_COLUMNS, none, BY_ROWS, BY_ROWS_TOLD, "5:4 32");
	expect_told(BY_ROWS, BY_ROWS_TOLD, BY_COLUMNS, none, "7:4 0");
}

Test(loops, a_copy_of_a_loop_is_the_loop_that_is_written)
{
	struct loops l;

	write_source(BY_ROWS);
	l = told(BY_ROWS_TOLD);
	cr_assert_eq(l.files[0].n_loops, 3);
	expect(&l, 1, 4, 0, "complicated access pattern (line 6)");
	expect(&l, 2, 5, 32, "complicated access pattern (line 6)");
	loops_fini(&l);
}

Test(loops, an_outer_loop_with_vectors_has_those_of_the_inner_one)
{
	static const char inner[] = "@/a.c:4:22: missed: couldn't vectorize loop\n"
				    "@/a.c:7:23: optimized: loop vectorized using 16 byte vectors\n";
	static const char outer[] = "@/a.c:4:22: optimized: loop vectorized using 32 byte vectors\n"
				    "@/a.c:7:23: missed: couldn't vectorize loop\n"
				    "@/a.c:7:23: missed: outer-loop already vectorized.\n";

	expect_told(BY_COLUMNS, inner, BY_COLUMNS, outer, "");
	expect_told(BY_COLUMNS, BY_COLUMNS_TOLD("@/a.c:7:23: missed: couldn't vectorize loop\n"), BY_COLUMNS, outer,
		    "4:3 32");
}
