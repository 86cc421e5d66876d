/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Scalar
 *
 * What a plain YAML scalar stands for, by the core schema of YAML 1.2: `yes` is a text, `007`
 * and `0x7` are numbers. What is quoted is always a text and doesn't come here.
 */

#include <stdbool.h>

enum scalar { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOL, SCALAR_NUMBER };

/* @ret: a number's value, which may be infinite or NaN; 0 or 1 of a boolean; else not written. */
enum scalar scalar_resolve(const char *text, double *ret);

/* Whether JSON writes the number the same way. */
bool scalar_is_json_number(const char *text);
