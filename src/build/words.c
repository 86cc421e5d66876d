/* SPDX-License-Identifier: MIT */
#include "build/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->at[i]);
	free(w->at);
	*w = (struct words)WORDS_NULL;
}

static void take(struct words *w, char *word)
{
	if ((w->n & (w->n + 1)) == 0) /* full at 1, 3, 7, …, the NULL counted in */
		w->at = xrealloc(w->at, (w->n + 1) * 2 * sizeof(*w->at));
	w->at[w->n++] = word;
	w->at[w->n] = NULL;
}

void words_add(struct words *w, const char *word)
{
	take(w, xstrdup(word));
}

void words_add_n(struct words *w, const char *word, size_t size)
{
	take(w, xstrndup(word, size));
}

void words_printf(struct words *w, const char *format, ...)
{
	va_list args;
	char *word;

	va_start(args, format);
	if (vasprintf(&word, format, args) < 0)
		abort();
	va_end(args);
	take(w, word);
}

void words_add_all(struct words *w, const struct words *more)
{
	for (size_t i = 0; i < more->n; i++)
		words_add(w, more->at[i]);
}

void words_add_list(struct words *w, ...)
{
	const char *word;
	va_list args;

	va_start(args, w);
	while ((word = va_arg(args, const char *)))
		words_add(w, word);
	va_end(args);
}

void words_split(struct words *w, const char *text)
{
	while (*(text += strspn(text, " \t"))) {
		size_t n = strcspn(text, " \t");

		words_add_n(w, text, n);
		text += n;
	}
}

void words_drop_last(struct words *w)
{
	free(w->at[--w->n]);
	w->at[w->n] = NULL;
}

bool words_have(const struct words *w, const char *word)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->at[i], word) == 0)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void words_sort(struct words *w)
{
	size_t n = 0;

	if (!w->n)
		return;
	qsort(w->at, w->n, sizeof(*w->at), compare);
	for (size_t i = 0; i < w->n; i++) {
		if (n && strcmp(w->at[n - 1], w->at[i]) == 0)
			free(w->at[i]);
		else
			w->at[n++] = w->at[i];
	}
	w->n = n;
	w->at[n] = NULL;
}
