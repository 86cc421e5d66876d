/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Addresses in a state that a struct without pointers holds all the same: a function's in a
 * uintptr_t, a string literal's in bytes. They are gone with what was mapped there.
 */

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct layout;

/*
 * The first word of @bytes, which are @layout's (NULL: not known, and of @size), that is an address
 * from @low to below @high. Its member's name in @ret: "counter.then (uint64_t)". Integers of 32 bits
 * and floats aren't looked at, for two of them side by side could look like one.
 */
bool address_find(const struct layout *layout, const void *bytes, uint64_t size, uint64_t low, uint64_t high,
		  struct buffer *ret, uint64_t *ret_address);
