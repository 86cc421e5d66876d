/* SPDX-License-Identifier: MIT */
#pragma once

/* Lines of the terminal about canaries and shadows. */

struct buffer;
struct event;
struct style;

void companion_text_started(const struct style *s, struct buffer *b, const struct event *e);
void companion_text_verdict(const struct style *s, struct buffer *b, const struct event *e);
void companion_text_differs(const struct style *s, struct buffer *b, const struct event *e);
void companion_text_ended(const struct style *s, struct buffer *b, const struct event *e);
