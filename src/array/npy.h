/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * .npy files, as numpy.save() writes and numpy.load() reads them: versions 1 to 3, any order
 * of bytes and extents. No objects (they would be code), records, dates or complex numbers.
 * Strings (S and U) are BYTES; a U is UTF-8 then.
 */

#include <stddef.h>

struct array;
struct buffer;

/*
 * Any bytes may be given. 0; -EINVAL with a sentence in @why, also for a header that says
 * more or less than there is; or -ENOMEM. @ret's name stays as it is.
 */
int npy_parse(const void *bytes, size_t size, struct array *ret, struct buffer *why);

/* The file at @path: the same, or -errno; a sentence in @why that names it. */
int npy_read(const char *path, struct array *ret, struct buffer *why);

/*
 * Append the file that @a is. BF16, which numpy doesn't have, becomes float32; BYTES becomes S.
 * 0, or -EINVAL with a sentence for what S can't hold: an element that ends with a NUL, or
 * lengths so different that it would be too large.
 */
int npy_format(const struct array *a, struct buffer *ret, struct buffer *why);
