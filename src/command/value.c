/* SPDX-License-Identifier: MIT */
#include "command/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "command/command.h"

static unsigned shift_of(char suffix)
{
	static const char suffixes[] = "KMGT";
	const char *at = suffix ? strchr(suffixes, toupper((unsigned char)suffix)) : NULL;

	return at ? 10 * (unsigned)(at - suffixes + 1) : 0;
}

static bool read_number(const char *text, bool bytes, uint64_t *ret)
{
	unsigned long long n;
	unsigned shift;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	shift = bytes ? shift_of(*end) : 0;
	if (errno || end[shift ? 1 : 0] != '\0' || n > UINT64_MAX >> shift)
		return false;
	*ret = (uint64_t)n << shift;
	return true;
}

static bool read_bool(const char *text, bool *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "0", "1", "off", "on" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2;
			return true;
		}
	}
	return false;
}

static bool is_choice(const char *choices, const char *text)
{
	size_t size = strlen(text);

	for (const char *at = choices; *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (n == size && memcmp(at, text, n) == 0)
			return true;
		at += n;
	}
	return false;
}

static void put_size(struct buffer *b, uint64_t n)
{
	static const char *const suffixes[] = { "", "K", "M", "G", "T" };
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(suffixes) && n && n % 1024 == 0) {
		n /= 1024;
		i++;
	}
	buffer_printf(b, "%llu%s", (unsigned long long)n, suffixes[i]);
}

/* "c, c++ or cuda" */
static void put_choices(struct buffer *b, const char *choices)
{
	while (*choices) {
		size_t n = strcspn(choices, " ");
		const char *next = choices + n + strspn(choices + n, " ");

		buffer_append(b, choices, n);
		if (*next)
			buffer_puts(b, strchr(next, ' ') ? ", " : " or ");
		choices = next;
	}
}

static void put_range(const struct option_row *row, struct buffer *why)
{
	switch (row->kind) {
	case OPTION_BOOL:
		buffer_puts(why, "yes or no");
		break;
	case OPTION_BYTES:
		buffer_puts(why, "a size from ");
		put_size(why, row->min);
		buffer_puts(why, " to ");
		put_size(why, row->max);
		break;
	default:
		buffer_printf(why, "a number from %llu to %llu", (unsigned long long)row->min,
			      (unsigned long long)row->max);
	}
}

int value_assign(const struct option_row *row, const char *source, const char *text, void *ret,
		 struct buffer *why)
{
	void *field = (char *)ret + row->offset;
	uint64_t number = 0;
	bool fine = true;

	if (row->kind == OPTION_CHOICE && value_choose(row->choices, source, text, why) != 0)
		return EXIT_USAGE;
	if (row->kind == OPTION_BOOL)
		fine = read_bool(text, field);
	else if (row->kind == OPTION_UNSIGNED || row->kind == OPTION_BYTES)
		fine = read_number(text, row->kind == OPTION_BYTES, &number) &&
		       number >= row->min && number <= row->max;
	if (!fine) {
		buffer_printf(why, "%s takes ", source);
		put_range(row, why);
		buffer_printf(why, ", not '%s'", text);
		return EXIT_USAGE;
	}
	if (row->kind == OPTION_UNSIGNED)
		*(unsigned *)field = (unsigned)number;
	else if (row->kind == OPTION_BYTES)
		*(uint64_t *)field = number;
	else if (row->kind != OPTION_BOOL)
		*(const char **)field = text;
	return 0;
}

int value_choose(const char *choices, const char *source, const char *text, struct buffer *why)
{
	if (is_choice(choices, text))
		return 0;
	buffer_printf(why, "%s takes ", source);
	put_choices(why, choices);
	buffer_printf(why, ", not '%s'", text);
	return EXIT_USAGE;
}
