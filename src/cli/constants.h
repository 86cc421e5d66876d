/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Constants
 *
 * What lies in an image's .rodata: numbers that instructions read from memory, tables, strings.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct constants {
	uint64_t address; /* where it is mapped, from the image's base */
	unsigned char *bytes;
	size_t size;
};

#define CONSTANTS_NULL { .bytes = NULL }

/* By objdump; there are none where it finds none. */
void constants_read(const char *image, struct constants *ret);
void constants_fini(struct constants *c);
bool constants_equal(const struct constants *a, const struct constants *b);

/* "{00004040}": @size bytes at @address, as they lie there; nothing where these aren't constants. */
void constants_put(const struct constants *c, uint64_t address, size_t size, struct buffer *ret);
