/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON, numbers of a tensor
 *
 * The shortest text that reads back the same; FP32 as a float, so that 0.1f is 0.1.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_NUMBER_SIZE 32 /* no number is longer, with its comma */

/*
 * Write @n elements of @dtype (BOOL, integer, FP32, FP64) at @data to @to, which has room for
 * n * JSON_NUMBER_SIZE, with commas between and after them. Returns the end, or NULL where an
 * element is not finite.
 */
char *json_numbers(char *to, uint32_t dtype, const void *data, size_t n);

#ifdef __cplusplus
}
#endif
