/* SPDX-License-Identifier: MIT */
#pragma once

/* A verdict (deploy/verdict.c) for people, and as members of a JSON object. */

struct buffer;
struct deploy_verdict;
struct event;
struct style;

void verdict_text(const struct style *s, struct buffer *b, const struct event *e);

/* "verdict", "from" and what is known, into the object that is open. */
void verdict_json(const struct deploy_verdict *v, struct buffer *b);
