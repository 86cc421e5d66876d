/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Send
 *
 * Answers to a connection: the writing half.
 */

#include <stdbool.h>

struct connection;

/*
 * Write what is complete at the head of the queue, and drop what is written. Closes nothing:
 * a failure only sets `broken`.
 */
void send_answers(struct connection *c);

/*
 * Another "100 Continue" to a client that waits for an answer of ours, as it may get as many as
 * there are. false: nobody is there.
 */
bool send_probe(struct connection *c);
