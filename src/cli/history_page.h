/* SPDX-License-Identifier: MIT */
#pragma once

/* `devserve history` for people. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct history_row;

/* Rows of one deployment are added, the oldest first; then it is written. */
struct history_page;

struct history_page *history_page_new(void);
struct history_page *history_page_free(struct history_page *p);
void history_page_add(struct history_page *p, const struct history_row *row);

/* @width: 0: any. */
void history_page_write(const struct history_page *p, size_t width, bool color, struct buffer *ret);

/* One line of it: sparklines of how long saves took to serve and how fast the code became; "" of none. */
void history_page_trends(const struct history_page *p, struct buffer *ret_took, struct buffer *ret_speed);

/* "2026-01-31 14:03:22", here. */
void history_time(struct buffer *ret, int64_t ms);
