/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory of our own, bounded sizes: the allocation succeeds or the process ends
 * with a message, for a development server has nothing useful to do then. Sizes
 * that a peer controls must not come here: use malloc() and answer with 413.
 */

#include <stddef.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* For `_cleanup_free_ char *x = NULL;`. */
void free_pointer(void *p);
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(free_pointer)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
