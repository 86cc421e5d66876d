/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compiler text
 *
 * What a compiler printed, as it wrote it; only that places in files are links, paths are as
 * short as they can be, and of its escape sequences none but colours remain, where there is
 * colour.
 */

struct buffer;
struct style;

/* Appends lines. @text may be NULL. */
void compiler_text(const struct style *s, struct buffer *b, const char *text);
