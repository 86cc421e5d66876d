/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Authorize
 *
 * Who may ask what: one function, called for every request of every front end before
 * anything else looks at it. A development server runs on a machine whose browser visits
 * other people's pages; those must reach nothing here.
 */

#include <stdbool.h>

#include "ingress/target.h"

/* What the server is. */
struct authority {
	const char *name;  /* the bound address or name, without brackets; NULL: loopback only */
	bool any_address;  /* bound to every address: an address as Host is as good as ours */
	bool loopback;     /* nothing but this machine can connect */
	const char *token; /* NULL: nobody has one */
	const char *hosts, *origins; /* allowed beside our own (allowed.h) */
};

/* What the request says of itself; a span with at NULL: not said. */
struct principal {
	struct span host, origin, site, mode, destination, authorization;
	bool reads;  /* GET or HEAD */
	bool page;   /* a route that a person may open by following a link */
	bool health; /* needs no token anywhere */
	bool token;  /* the route needs the token in any case */
	bool preflight; /* a browser asks whether a page of another origin may ask */
};

/*
 * 0, or 400, 401, 403, 421 with a static sentence; or 204: a preflight, which can't bring the
 * token and may go on to the request itself, is told nothing of what there is.
 */
int authorize(const struct authority *a, const struct principal *p, const char **ret_why);
