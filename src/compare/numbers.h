/* SPDX-License-Identifier: MIT */
#pragma once

/* Elements of any floating datatype as doubles, which hold all of them exactly. */

#include <stdbool.h>
#include <stdint.h>

#define NUMBERS_BLOCK 512 /* at a time */

bool numbers_are_floats(uint32_t dtype);

/* @n <= NUMBERS_BLOCK elements from @at on. */
void numbers_read(uint32_t dtype, const void *data, uint64_t at, uint64_t n, double *ret);

/* How many numbers of @dtype lie between two of its elements, which aren't NaN. */
uint64_t numbers_between(uint32_t dtype, const void *a, const void *b, uint64_t at);

/* 2^-digits: half the distance of 1 from the next number. */
double numbers_rounding(uint32_t dtype);
