/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct json_reader;

/*
 * What GET /-/status said, as a table for people. @gpus: what gpus_ask() said, or NULL. Columns that matter least are left out where
 * @width (0: no bound) doesn't suffice for all; NAME, STATE, GEN and STALE stay.
 */
void status_page(const struct json_reader *r, const struct json_reader *gpus, size_t width, bool color,
		 struct buffer *ret);
