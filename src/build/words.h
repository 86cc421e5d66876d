/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Words
 *
 * Strings in order: a command line, the files that a source read. `at` is NULL until
 * something was added, and ends with a NULL afterwards, as execve() wants it.
 */

#include <stdbool.h>
#include <stddef.h>

struct words {
	char **at;
	size_t n;
};

#define WORDS_NULL { .at = NULL }
#define _cleanup_words_ __attribute__((cleanup(words_fini)))

void words_fini(struct words *w);

void words_add(struct words *w, const char *word);
void words_add_n(struct words *w, const char *word, size_t size);
void words_printf(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_add_all(struct words *w, const struct words *more);
/* Several literals; the last argument is NULL. */
void words_add_list(struct words *w, ...) __attribute__((sentinel));
/* Add what spaces separate in @text. */
void words_split(struct words *w, const char *text);

void words_drop_last(struct words *w);
bool words_have(const struct words *w, const char *word);
/* Sort, and drop what is there twice. */
void words_sort(struct words *w);
