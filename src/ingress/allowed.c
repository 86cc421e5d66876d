/* SPDX-License-Identifier: MIT */
#include "ingress/allowed.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"

/* The next of *@list, which moves on behind it. False: there is none. */
static bool next(const char **list, struct span *ret)
{
	const char *s = *list ? *list + strspn(*list, ", ") : "";

	*ret = (struct span){ s, strcspn(s, ", ") };
	*list = s + ret->size;
	return ret->size > 0;
}

struct span allowed_find(const char *list, struct span wanted)
{
	struct span one;

	while (next(&list, &one))
		if (one.size == wanted.size && strncasecmp(one.at, wanted.at, one.size) == 0)
			return one;
	return (struct span){ .at = NULL };
}

/* How many of @s, from @at on, are letters, digits, dots, hyphens or one of @more. */
static size_t run(struct span s, size_t at, const char *more)
{
	size_t i = at;

	for (; i < s.size; i++) {
		char c = s.at[i] | 0x20;

		if (!(c >= 'a' && c <= 'z') && !(s.at[i] >= '0' && s.at[i] <= '9') && !strchr(more, s.at[i]))
			break;
	}
	return i - at;
}

static bool is_host(struct span s)
{
	return run(s, 0, ".-_") == s.size || (s.at[0] == '[' && run(s, 0, "[:]") == s.size);
}

static bool is_origin(struct span s)
{
	size_t scheme = run(s, 0, "+-.");

	if (!scheme || scheme + 3 >= s.size || s.size > ALLOWED_MAX_ORIGIN || memcmp(s.at + scheme, "://", 3) != 0)
		return false;
	return run(s, scheme + 3, ".-_[:]") == s.size - scheme - 3;
}

int allowed_check_hosts(const char *list, struct buffer *why)
{
	struct span one;

	while (next(&list, &one)) {
		if (is_host(one))
			continue;
		buffer_printf(why, "--allow-host: '%.*s' is no name of a host; write it without a port: "
				   "--allow-host gpu1,gpu1.example.org", (int)one.size, one.at);
		return -EINVAL;
	}
	return 0;
}

int allowed_check_origins(const char *list, struct buffer *why)
{
	struct span one;

	while (next(&list, &one)) {
		if (is_origin(one))
			continue;
		buffer_printf(why, "--allow-origin: '%.*s' is no origin; write scheme, host and port, and nothing "
				   "behind them: --allow-origin http://localhost:3000", (int)one.size, one.at);
		return -EINVAL;
	}
	return 0;
}
