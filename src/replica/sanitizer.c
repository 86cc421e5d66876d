/* SPDX-License-Identifier: MIT */

/*
 * The options, each with a reason:
 *
 *	symbolize=0                    devserve-debug finds functions and lines, for crashes, too;
 *	                               a dying process of gigabytes needn't fork for it
 *	handle_*=0                     faults are for our handler, which knows what lies where
 *	use_sigaltstack=0              threads have a stack for that handler; the library would
 *	                               unmap it when it isn't the one that it made
 *	detect_leaks=0                 what was allocated by create() of the libraries is no leak
 *	detect_stack_use_after_return  a pointer to a variable that is gone
 *	detect_odr_violation=0         two generations have the same names
 *	disable_coredump=0             --core decides
 *	quarantine_size_mb             a kernel that allocates in each call shall not look like a leak
 *
 * Whoever has set ASAN_OPTIONS or UBSAN_OPTIONS has the last word.
 */

#include "replica/sanitizer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "replica/memcheck.h"

#define COMMON "symbolize=0:color=never:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0"
#define ASAN COMMON ":use_sigaltstack=0:detect_leaks=0:detect_stack_use_after_return=1:" \
	"detect_odr_violation=0:disable_coredump=0:print_legend=0:quarantine_size_mb=64"
#define TENSOR "==devserve== " /* what memory is meant, by our worker (worker/sanitizer.c) */
#define UBSAN COMMON ":print_stacktrace=1"

static char *join(const char *name, const char *ours, const char *theirs)
{
	return xasprintf("%s=%s%s%s", name, ours, theirs && *theirs ? ":" : "", theirs ? theirs : "");
}

static bool is_ours(const char *variable)
{
	static const char *const names[] = { "LD_PRELOAD=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "DEVSERVE_SANITIZER=",
					     "DEVSERVE_LAUNCHED=" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

char **sanitizer_environment(const char *runtime)
{
	size_t n = 0, room = 5;
	char **ret;

	for (char **v = environ; *v; v++)
		room++;
	ret = xcalloc(room, sizeof(*ret));
	for (char **v = environ; *v; v++)
		if (!is_ours(*v) || memcheck_is(runtime))
			ret[n++] = xstrdup(*v);
	if (memcheck_is(runtime)) {
		ret[n++] = xstrdup("DEVSERVE_LAUNCHED=yes");
		return ret;
	}
	ret[n++] = join("LD_PRELOAD", runtime, getenv("LD_PRELOAD"));
	ret[n++] = join("ASAN_OPTIONS", ASAN, getenv("ASAN_OPTIONS"));
	ret[n++] = join("UBSAN_OPTIONS", UBSAN, getenv("UBSAN_OPTIONS"));
	ret[n++] = xstrdup("DEVSERVE_SANITIZER=yes");
	return ret;
}

/* The report */

static const char *find(const char *line, size_t size, const char *text)
{
	return memmem(line, size, text, strlen(text));
}

/* Whether a line and a column, ":3:7", end at @end. */
static bool ends_in_place(const char *line, const char *end)
{
	for (int i = 0; i < 2; i++) {
		const char *number = end;

		while (number > line && isdigit((unsigned char)number[-1]))
			number--;
		if (number == end || number == line || number[-1] != ':')
			return false;
		end = number - 1;
	}
	return true;
}

/* "==123==ERROR: AddressSanitizer: …", "FILE:3:7: runtime error: …", or what our worker says before. */
static bool begins(const char *line, size_t size)
{
	const char *error = find(line, size, ": runtime error: ");

	if (size > strlen(TENSOR) && memcmp(line, TENSOR, strlen(TENSOR)) == 0)
		return true;
	if (size > 2 && line[0] == '=' && line[1] == '=' && find(line, size, "==ERROR: "))
		return true;
	return error && ends_in_place(line, error);
}

static bool is_rule(const char *line, size_t size)
{
	return size > 40 && line[0] == '=' && memcmp(line, line + 1, size - 1) == 0;
}

/* What comes then are the bytes of the shadow. */
static bool ends(const char *line, size_t size)
{
	return size >= 7 && (memcmp(line, "SUMMARY", 7) == 0 || memcmp(line, "Shadow ", 7) == 0);
}

static void append(struct sanitizer_report *r, const char *line, size_t size)
{
	r->over |= r->text.size + size + 1 > SANITIZER_MAX_REPORT;
	if (r->over)
		return;
	buffer_append(&r->text, line, size);
	buffer_putc(&r->text, '\n');
}

/* Lines of the deployment's may come between. */
static bool take_memcheck(struct sanitizer_report *r, const char *line, size_t size)
{
	bool begins = memcheck_begins(line, size);

	if (!begins && !memcheck_is_chatter(line, size))
		return false;
	if (r->text.size)
		r->over |= memcheck_ends(line, size);
	if (!r->over && (begins || r->text.size))
		append(r, line, size);
	return true;
}

bool sanitizer_report_take(struct sanitizer_report *r, const char *line, size_t size)
{
	bool began = r->text.size > 0;

	if (r->memcheck)
		return take_memcheck(r, line, size);
	if (!began && is_rule(line, size))
		return true;
	if (!began && !begins(line, size))
		return false;
	r->over |= ends(line, size);
	append(r, line, size);
	return true;
}

void sanitizer_report_fini(struct sanitizer_report *r)
{
	buffer_fini(&r->text);
}

/* Reading it */

static const char *line_end(const char *s)
{
	return s + strcspn(s, "\n");
}

/* What follows @mark in the report, up to its line's end; NULL: it isn't there. */
static const char *after(const char *report, const char *mark)
{
	const char *at = strstr(report, mark);

	return at ? at + strlen(mark) : NULL;
}

const char *sanitizer_of(const char *runtime)
{
	return !runtime ? NULL : memcheck_is(runtime) ? MEMCHECK_NAME : "AddressSanitizer";
}

const char *sanitizer_tool(const char *report)
{
	if (memcheck_made(report))
		return MEMCHECK_NAME;
	return strstr(report, ": runtime error: ") ? "UndefinedBehaviorSanitizer" : "AddressSanitizer";
}

static void put(struct buffer *ret, const char *from, const char *to)
{
	for (; from < to; from++)
		buffer_putc(ret, iscntrl((unsigned char)*from) ? ' ' : *from);
}

/* "heap-use-after-free on address 0x…", "attempting double-free on 0x…"; or why it can't even start. */
static void put_kind(const char *report, struct buffer *ret)
{
	const char *kind = after(report, "Sanitizer: "), *failure = after(report, "==ERROR: AddressSanitizer "), *end;

	if (!kind && failure) {
		put(ret, failure, line_end(failure));
		if (strncmp(failure, "failed to allocate", 18) == 0)
			buffer_puts(ret, "; it needs terabytes of addresses, which a limit (ulimit -v) takes from it");
	}
	if (!kind)
		return;
	end = strstr(kind, " on ");
	put(ret, kind, end && end < line_end(kind) ? end : line_end(kind));
}

static void put_access(const char *report, struct buffer *ret)
{
	const char *wrote = after(report, "\nWRITE of size "), *read = after(report, "\nREAD of size ");
	unsigned long n = strtoul(wrote ? wrote : read ? read : "", NULL, 10);

	if (n)
		buffer_printf(ret, ": %s %lu byte%s", wrote ? "wrote" : "read", n, n == 1 ? "" : "s");
}

/* What is nearest of what the report says that the address is beside; NULL: nothing. */
static const char *nearest(const char *report)
{
	const char *found = NULL;

	for (const char *at = report; (at = after(at, " is located "));)
		if (isdigit((unsigned char)*at) && (!found || strtoul(at, NULL, 10) < strtoul(found, NULL, 10)))
			found = at;
	return found;
}

/* What the worker has said of the block that begins at @address, "0x60…": up to its line's end; NULL: nothing. */
static const char *tensor_at(const char *report, const char *address)
{
	unsigned long long wanted = strtoull(address, NULL, 16);

	for (const char *at = report; (at = after(at, TENSOR));)
		if (strtoull(at, NULL, 16) == wanted)
			return strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
	return NULL;
}

/* The end of what is worth telling: addresses say nothing to anybody, and the place is told beside. */
static const char *end_of_location(const char *at)
{
	const char *end = line_end(at);

	for (const char *p = at; p < end; p++)
		if (strncmp(p, " [0x", 4) == 0 || strncmp(p, " (0x", 4) == 0 || strncmp(p, " defined in '", 13) == 0)
			return p;
	return end;
}

/* "0 bytes to the right of …", as gcc said it until 12, is "0 bytes after …". Returns what follows. */
static const char *put_side(const char *at, const char *end, struct buffer *ret)
{
	static const struct {
		const char *said, *is;
	} sides[] = { { " to the right of ", " after " }, { " to the left of ", " before " } };

	for (unsigned i = 0; i < 2; i++) {
		const char *said = strstr(at, sides[i].said);

		if (!said || said >= end)
			continue;
		put(ret, at, said);
		buffer_puts(ret, sides[i].is);
		return said + strlen(sides[i].said);
	}
	return at;
}

/* "0 bytes after 40-byte region", or "… after the input X[10]"; "… before global variable 'g'" */
static void put_location(const char *report, struct buffer *ret)
{
	const char *at = nearest(report), *end = at ? end_of_location(at) : NULL, *tensor, *size = end;

	if (!at)
		return;
	tensor = strncmp(end, " [0x", 4) == 0 ? tensor_at(report, end + 2) : NULL;
	for (int words = 0; tensor && words < 2 && size > at; words += *size == ' ')
		size--;
	buffer_puts(ret, ", ");
	at = put_side(at, end, ret);
	put(ret, at, tensor ? size + 1 : end);
	if (tensor)
		put(ret, tensor, line_end(tensor));
}

static void put_state(const char *report, struct buffer *ret)
{
	const char *at = after(report, TENSOR "behind the state");

	if (!at)
		return;
	buffer_puts(ret, ", behind the state");
	put(ret, at, line_end(at));
}

/* "  [32, 48) 's' (line 5) <== Memory access at offset 48 overflows this variable" */
static void put_variable(const char *report, struct buffer *ret)
{
	const char *mark = strstr(report, " <== Memory access"), *at = mark;

	while (at && at > report && at[-1] != '\n' && strncmp(at, ") '", 3) != 0)
		at--;
	if (!at || strncmp(at, ") '", 3) != 0)
		return;
	buffer_puts(ret, strstr(mark, "underflows this") ? ", before the variable " : ", beyond the variable ");
	put(ret, at + 2, mark);
}

void sanitizer_describe(const char *report, struct buffer *ret)
{
	const char *error = after(report, ": runtime error: ");

	if (memcheck_made(report)) {
		memcheck_describe(report, ret);
		return;
	}
	if (error) {
		put(ret, error, line_end(error));
		return;
	}
	put_kind(report, ret);
	put_access(report, ret);
	put_location(report, ret);
	put_state(report, ret);
	put_variable(report, ret);
}
