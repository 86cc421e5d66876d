/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Receive
 *
 * Requests of a connection: the reading half.
 */

#include <stdbool.h>
#include <stddef.h>

struct connection;
struct exchange;

#define RECEIVE_MAX_QUEUE 64             /* requests that wait for their answers */
#define RECEIVE_MAX_UNSENT (1024 * 1024) /* bytes of answers that wait to be sent */

void receive_set(struct connection *c, bool reading);

/*
 * Understand what is pending and then the @size bytes; what is left over is pending. Reading
 * goes on, or is `paused` where a limit is reached.
 */
void receive_bytes(struct connection *c, const char *bytes, size_t size);

/*
 * Answer @x, or NULL: what can't even be called a request. The connection ends with it, and
 * what comes meanwhile isn't looked at.
 */
void receive_fail(struct connection *c, struct exchange *x, int status, const char *sentence);

/*
 * Its @x is answered while its body hasn't come: what of it is to come is dropped. Returns
 * false where that is too much: the connection must be closed after the answer.
 */
bool receive_drop(struct connection *c, struct exchange *x);
