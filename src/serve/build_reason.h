/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Build reason
 *
 * Why a build failed, in a sentence: for logs, for clients that get 503, for programs.
 */

struct buffer;
struct build_result;

/* "matmul.c:3:5: expected ';' (and 2 more)"; where nothing is called an error, all that was printed. */
void build_reason(const struct build_result *result, struct buffer *ret);
