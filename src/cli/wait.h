/* SPDX-License-Identifier: MIT */
#pragma once

struct buffer;
struct client;
struct client_options;

/*
 * Until the newest save of @o->name serves or failed, and say so as `devserve wait` does. The status
 * to exit with, and a sentence in @why where it isn't 0.
 */
int wait_for_save(const struct client_options *o, const struct client *c, struct buffer *why);
