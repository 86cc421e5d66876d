/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reply
 *
 * What routes below /-/ answer with: JSON. @x is invalid afterwards, as after exchange_respond().
 */

struct buffer;
struct exchange;

void reply_json(struct exchange *x, int status, const struct buffer *json);

/* {"error": @sentence} */
void reply_refuse(struct exchange *x, int status, const char *sentence);
