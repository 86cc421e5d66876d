/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Send
 *
 * Answers to a connection: the writing half.
 */

struct connection;

/*
 * Write what is complete at the head of the queue, and drop what is written. Closes nothing:
 * a failure only sets `broken`.
 */
void send_answers(struct connection *c);
