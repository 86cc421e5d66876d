/* SPDX-License-Identifier: MIT */

/*
 * As NVIDIA's documentation shows it (version 13):
 *
 *	========= Invalid __global__ write of size 4 bytes
 *	=========     at out_of_bounds_function()+0xb0 in /home/me/plugins/demo/demo.cu:39
 *	=========     by thread (0,0,0) in block (0,0,0)
 *	=========     Address 0x87654320 is out of bounds
 *	=========     and is 85 bytes after the nearest allocation at 0x7fe71d800900 of size 4 bytes
 *	=========         Device Frame: out_of_bounds_kernel()+0x30 in /home/me/plugins/demo/demo.cu:44
 *	=========
 *
 * Earlier ones have "at out_of_bounds_kernel():0x160 in demo.cu:6". Code without line tables has no " in …".
 *
 * The options: --strip-paths no, for a name alone leads no editor anywhere; --report-api-errors no,
 * for asking the driver for one parameter too many is how the worker learns how many there are;
 * one finding, since a kernel's thousand threads have the same; no limit for the first
 * call of the driver, which a worker makes when it is told to.
 */

#include "replica/memcheck.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

#define PREFIX "========="

bool memcheck_is(const char *runtime)
{
	return runtime && strcmp(path_name(runtime), MEMCHECK_NAME) == 0;
}

size_t memcheck_command(const char *runtime, const char **ret)
{
	static const char *const options[] = {
		"--tool", "memcheck", "--strip-paths", "no", "--show-backtrace", "device", "--report-api-errors",
		"no", "--check-exit-code", "no", "--require-cuda-init", "no", "--target-processes",
		"application-only", "--launch-timeout", "0", "--print-limit", "1",
	};

	_Static_assert(ARRAY_SIZE(options) < MEMCHECK_MAX_WORDS, "room for all");
	ret[0] = runtime;
	memcpy(ret + 1, options, sizeof(options));
	return ARRAY_SIZE(options) + 1;
}

/* What follows the prefix and one blank; NULL: it is no line of the tool's. */
static const char *text_of(const char *line, size_t size)
{
	size_t n = strlen(PREFIX);

	if (size < n || memcmp(line, PREFIX, n) != 0 || (size > n && line[n] != ' '))
		return NULL;
	return size > n ? line + n + 1 : line + n;
}

static bool starts_with(const char *text, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - text) >= n && memcmp(text, word, n) == 0;
}

static const char *past_blanks(const char *text, const char *end)
{
	while (text < end && *text == ' ')
		text++;
	return text;
}

static bool is_summary(const char *text, const char *end)
{
	static const char *const words[] = { "COMPUTE-SANITIZER", "ERROR SUMMARY", "LEAK SUMMARY", "Target application",
					     "Tracking kernels", "No attachable", "Saved host" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (starts_with(text, end, words[i]))
			return true;
	return false;
}

/* Of the tool itself: it can't start, or has not seen all. */
static bool is_trouble(const char *text, const char *end)
{
	static const char *const words[] = { "Error:", "Warning:", "Internal Sanitizer", "Unable" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (starts_with(text, end, words[i]))
			return true;
	return false;
}

bool memcheck_is_chatter(const char *line, size_t size)
{
	const char *text = text_of(line, size);

	return text && (text >= line + size || *text == ' ' || is_summary(text, line + size));
}

bool memcheck_begins(const char *line, size_t size)
{
	const char *text = text_of(line, size), *end = line + size;

	return text && text < end && *text != ' ' && !is_summary(text, end) && !is_trouble(text, end);
}

bool memcheck_ends(const char *line, size_t size)
{
	const char *text = text_of(line, size), *end = line + size;

	return !text || text >= end || *text != ' ' || starts_with(past_blanks(text, end), end, "Saved host");
}

bool memcheck_made(const char *report)
{
	return strncmp(report, PREFIX " ", strlen(PREFIX) + 1) == 0;
}

static const char *line_end(const char *s)
{
	return s + strcspn(s, "\n");
}

static void put(struct buffer *ret, const char *from, const char *to)
{
	for (; from < to; from++)
		buffer_putc(ret, iscntrl((unsigned char)*from) ? ' ' : *from);
}

/* What follows @mark in a line that begins with it; NULL: there is none. */
static const char *line_with(const char *report, const char *mark)
{
	for (const char *line = report; *line; line = *line_end(line) ? line_end(line) + 1 : line_end(line)) {
		const char *text = text_of(line, (size_t)(line_end(line) - line));

		text = text ? past_blanks(text, line_end(line)) : NULL;
		if (text && starts_with(text, line_end(line), mark))
			return text + strlen(mark);
	}
	return NULL;
}

/* "f(int *)+0xb0 in k.cu:39", "f():0x160 in k.cu:39", "f(int *)+0x50": where the function's name ends. */
static const char *function_end(const char *at)
{
	const char *end = line_end(at), *mark = NULL;

	for (const char *s = at; s < end; s++)
		if (strncmp(s, "+0x", 3) == 0 || strncmp(s, ":0x", 3) == 0)
			mark = s;
	return mark;
}

/* The kernel's, if a function of its own was at it: the outermost frame. */
static const char *kernel_of(const char *report)
{
	const char *frame = line_with(report, "at "), *found;

	for (const char *rest = report; (found = line_with(rest, "Device Frame:")); rest = found) {
		found += *found == ' ';
		if (strncmp(found, "NVIDIA Internal", 15) != 0)
			frame = found;
	}
	return frame;
}

static void put_thread(const char *report, struct buffer *ret)
{
	const char *by = line_with(report, "by thread "), *in = by ? strstr(by, " in block ") : NULL;

	if (!in || in > line_end(by))
		return;
	buffer_puts(ret, ", by thread ");
	put(ret, by, in);
	buffer_puts(ret, " of block ");
	put(ret, in + strlen(" in block "), line_end(by));
}

/* "Address 0x… is out of bounds", "and is 85 bytes after the nearest allocation at 0x… of size 4 bytes" */
static void put_address(const char *report, struct buffer *ret)
{
	const char *address = line_with(report, "Address "), *is = address ? strstr(address, " is ") : NULL;
	const char *beside = line_with(report, "and is "), *at = beside ? strstr(beside, " at 0x") : NULL;
	const char *of = at ? strstr(at, " of size ") : NULL;

	if (is && is < line_end(address)) {
		buffer_puts(ret, ": ");
		put(ret, is + strlen(" is "), line_end(address));
	}
	if (!of || of > line_end(beside))
		return;
	buffer_puts(ret, ", ");
	put(ret, beside, at);
	buffer_puts(ret, ", which has ");
	put(ret, of + strlen(" of size "), line_end(of));
}

void memcheck_describe(const char *report, struct buffer *ret)
{
	const char *text = report + strlen(PREFIX) + 1, *kernel = kernel_of(report);
	const char *end = kernel ? function_end(kernel) : NULL;

	if (isupper((unsigned char)*text))
		buffer_putc(ret, (char)tolower((unsigned char)*text++));
	put(ret, text, line_end(text));
	if (end) {
		buffer_puts(ret, " in kernel ");
		put(ret, kernel, end);
	}
	put_thread(report, ret);
	put_address(report, ret);
}

bool memcheck_place(const char *report, char **ret_function, char **ret_file, unsigned *ret_line)
{
	const char *at = line_with(report, "at "), *name = at ? function_end(at) : NULL;
	const char *in = name ? strstr(name, " in ") : NULL, *end = at ? line_end(at) : NULL, *colon = end;

	while (colon && colon > at && *colon != ':')
		colon--;
	if (!in || colon <= in || !isdigit((unsigned char)colon[1]))
		return false;
	*ret_function = xstrndup(at, (size_t)(name - at));
	*ret_file = xstrndup(in + strlen(" in "), (size_t)(colon - in) - strlen(" in "));
	*ret_line = (unsigned)strtoul(colon + 1, NULL, 10);
	return true;
}
