/* SPDX-License-Identifier: MIT */
#include "base/suggestion.h"

#include <stdint.h>
#include <string.h>

/* Edits from @a to @b: a letter more, less, other, or two that changed places. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), d[33][33];

	if (n > 32 || m > 32)
		return SIZE_MAX;
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			if (!i || !j) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < d[i][j])
				d[i][j] = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < d[i][j])
				d[i][j] = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[n][m];
}

void suggestion_consider(struct suggestion *s, const char *candidate)
{
	size_t size = strlen(s->word), distance = edit_distance(s->word, candidate);

	if (size >= 3 && strncmp(s->word, candidate, size) == 0)
		distance = 1;
	if (distance <= (size + 3) / 4 && (!s->best || distance < s->distance)) {
		s->best = candidate;
		s->distance = distance;
	}
}
