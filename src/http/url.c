/* SPDX-License-Identifier: MIT */
#include "http/url.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
static const char of_ipv6[] = "0123456789abcdefABCDEF:.";

static bool read_port(const char *s, const char **ret_end, unsigned *ret)
{
	unsigned port = 0;

	for (; *s >= '0' && *s <= '9' && port <= 65535; s++)
		port = port * 10 + (unsigned)(*s - '0');
	*ret_end = s;
	*ret = port;
	return port >= 1 && port <= 65535;
}

int url_read(const char *text, struct url *ret)
{
	struct url u = { .port = 80 };
	const char *end;
	bool bracket;

	if (strncasecmp(text, "http://", 7) != 0)
		return -EINVAL;
	bracket = text[7] == '[';
	u.host = text + 7 + bracket;
	u.host_size = strspn(u.host, bracket ? of_ipv6 : letters);
	end = u.host + u.host_size;
	if (!u.host_size || (bracket && *end++ != ']'))
		return -EINVAL;
	if (*end == ':' && !read_port(end + 1, &end, &u.port))
		return -EINVAL;
	if (*end && !strchr("/?#", *end))
		return -EINVAL;
	*ret = u;
	return 0;
}
