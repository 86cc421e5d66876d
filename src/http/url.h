/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * URL
 *
 * Of a server: http://HOST[:PORT], and a path that nobody looks at. HOST may be an address of
 * IPv6 in brackets.
 */

#include <stddef.h>

struct url {
	const char *host; /* in the text that was read, without brackets */
	size_t host_size;
	unsigned port; /* 80 where it isn't there */
};

/* 0, or -EINVAL. */
int url_read(const char *text, struct url *ret);
