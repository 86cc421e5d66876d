/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP/1, reading
 *
 * The head of one request, taken apart. Spans point into the bytes it came in.
 */

#include <stdbool.h>
#include <stdint.h>

#include "http/method.h"
#include "ingress/gate.h"
#include "ingress/target.h"

struct field {
	struct span name, value;
};

struct head {
	enum method method;
	unsigned minor; /* HTTP/1.minor */
	bool keep_alive;
	bool chunked;
	uint64_t length; /* of the body, unless chunked */
	struct target target;

	/* Those that the server itself looks at; at NULL: not sent. */
	struct span host, origin, site, mode, destination, authorization;
	struct span expect, content_encoding, json_size;
	struct span accept_encoding; /* the first; it is a list, which may go on in another field */
	struct span request_method; /* Access-Control-Request-Method */

	unsigned n_fields;
	struct field fields[GATE_MAX_FIELDS];
};

/*
 * @bytes is a whole head that @g let pass. 0, or an HTTP status (400, 501) with a static
 * sentence.
 */
int head_parse(struct head *h, const struct gate *g, const char *bytes, const char **ret_why);
