/* SPDX-License-Identifier: MIT */

/*
 * Three gates for browsers, one for everybody.
 *
 * Host: a page of evil.example whose name was made to point at 127.0.0.1 (DNS rebinding)
 * is same-origin for the browser; only the Host header shows it. Names that cannot be
 * rebound pass: localhost and below, loopback addresses, the name we were bound by.
 *
 * Origin and Sec-Fetch-Site: any page may send simple requests to us and not look at the
 * answer, which is enough to reload, unload or crash. Browsers say where a request comes
 * from; what isn't a browser says nothing and passes. `http://localhost:3000` is as foreign
 * as any other: the port is part of an origin. Origins that were allowed by name are not.
 *
 * Token: for what changes the server, and for everything once others can connect.
 */

#include "ingress/authorize.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "ingress/allowed.h"

static bool is(struct span s, const char *text)
{
	return s.size == strlen(text) && strncasecmp(s.at, text, s.size) == 0;
}

static bool ends_in(struct span s, const char *tail)
{
	size_t n = strlen(tail);

	return s.size > n && strncasecmp(s.at + s.size - n, tail, n) == 0;
}

/* Empty, or a number up to 65535. */
static bool is_port(struct span s)
{
	unsigned port = 0;

	for (size_t i = 0; i < s.size; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		port = port * 10 + (unsigned)(s.at[i] - '0');
		if (port > UINT16_MAX)
			return false;
	}
	return true;
}

/* "name", "name:8000", "[::1]:8000" -> the name; false where it is none of these. */
static bool split_host(struct span host, struct span *ret)
{
	const char *end = NULL;
	struct span port = { .at = NULL };

	if (host.size && host.at[0] == '[') {
		end = memchr(host.at, ']', host.size);
		if (!end)
			return false;
		*ret = (struct span){ host.at + 1, (size_t)(end - host.at) - 1 };
		if (!memchr(ret->at, ':', ret->size))
			return false; /* in brackets are addresses of IPv6 alone */
		end++;
	} else {
		end = host.size ? memchr(host.at, ':', host.size) : NULL;
		if (!end)
			end = host.at + host.size;
		*ret = (struct span){ host.at, (size_t)(end - host.at) };
		for (size_t i = 0; i < ret->size; i++)
			if (strchr("@/,\\?#[] \t\"<>", ret->at[i]))
				return false;
	}
	if (end < host.at + host.size) {
		if (*end != ':')
			return false;
		port = (struct span){ end + 1, (size_t)(host.at + host.size - end) - 1 };
	}
	return ret->size && is_port(port);
}

static bool is_address(struct span name, bool *ret_loopback)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;

	if (name.size >= sizeof(text))
		return false;
	memcpy(text, name.at, name.size);
	text[name.size] = '\0';
	*ret_loopback = false;
	if (inet_pton(AF_INET, text, &four) == 1) {
		*ret_loopback = ntohl(four.s_addr) >> 24 == 127;
		return true;
	}
	if (inet_pton(AF_INET6, text, &six) == 1) {
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&six);
		return true;
	}
	return false;
}

static int authorize_host(const struct authority *a, struct span host, const char **ret_why)
{
	struct span name;
	bool loopback;

	if (!split_host(host, &name)) {
		*ret_why = "The Host header is malformed.";
		return 400;
	}
	if (is(name, "localhost") || ends_in(name, ".localhost") || (a->name && is(name, a->name)))
		return 0;
	if (is_address(name, &loopback) && (loopback || a->any_address))
		return 0;
	if (allowed_find(a->hosts, name).at)
		return 0;
	*ret_why = "This server isn't called by the name in the Host header; use localhost, 127.0.0.1 "
		   "or the address it was bound to, or start it with --allow-host NAME.";
	return 421;
}

static bool is_own_origin(struct span origin, struct span host)
{
	const size_t scheme = sizeof("http://") - 1;

	return host.size && origin.size == scheme + host.size && strncasecmp(origin.at, "http://", scheme) == 0 &&
	       strncasecmp(origin.at + scheme, host.at, host.size) == 0;
}

static int authorize_browser(const struct authority *a, const struct principal *p, const char **ret_why)
{
	if (p->origin.at && allowed_find(a->origins, p->origin).at)
		return 0;
	if (p->origin.at && !is_own_origin(p->origin, p->host)) {
		*ret_why = "A page of another origin may not use this server; "
			   "--allow-origin ORIGIN allows it to one.";
		return 403;
	}
	if (p->site.at && !is(p->site, "same-origin") && !is(p->site, "none") &&
	    !(p->reads && p->page && is(p->mode, "navigate") && is(p->destination, "document"))) {
		*ret_why = "A page of another site may not use this server.";
		return 403;
	}
	return 0;
}

/* The time says nothing of how many bytes are right. */
static bool is_secret(struct span given, const char *secret)
{
	size_t size = strlen(secret);
	unsigned char differ = given.size != size;

	for (size_t i = 0; i < size; i++)
		differ |= (unsigned char)(secret[i] ^ (given.size ? given.at[i % given.size] : 0));
	return !differ;
}

static int authorize_token(const struct authority *a, const struct principal *p,
			   const char **ret_why)
{
	const size_t scheme = sizeof("Bearer ") - 1;
	struct span given = p->authorization;

	if (!p->token && (a->loopback || p->health))
		return 0;
	if (given.size > scheme && strncasecmp(given.at, "Bearer ", scheme) == 0 && a->token &&
	    is_secret((struct span){ given.at + scheme, given.size - scheme }, a->token))
		return 0;
	if (p->preflight && p->origin.at)
		return 204;
	*ret_why = given.at ? "The token is wrong; it is in run.json of the state directory."
			    : "This needs \"Authorization: Bearer TOKEN\"; "
			      "the token is in run.json of the state directory.";
	return 401;
}

int authorize(const struct authority *a, const struct principal *p, const char **ret_why)
{
	int r = 0;

	if (p->host.at) /* HTTP/1.0 may leave it out; browsers don't speak that */
		r = authorize_host(a, p->host, ret_why);
	if (!r)
		r = authorize_browser(a, p, ret_why);
	if (!r)
		r = authorize_token(a, p, ret_why);
	return r;
}
