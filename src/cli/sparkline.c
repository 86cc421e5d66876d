/* SPDX-License-Identifier: MIT */
#include "cli/sparkline.h"

#include <math.h>

#include "base/buffer.h"

#define LEVELS 8

static size_t level_of(double value, double least, double most)
{
	double share = most > least ? (value - least) / (most - least) : 0;
	size_t level = (size_t)(share * LEVELS);

	return level < LEVELS ? level : LEVELS - 1;
}

void sparkline(struct buffer *ret, const double *values, size_t n, size_t columns)
{
	static const char *const blocks[LEVELS] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	double least = INFINITY, most = -INFINITY;
	size_t first = n > columns ? n - columns : 0;

	for (size_t i = first; i < n; i++) {
		least = values[i] < least ? values[i] : least; /* false for NAN */
		most = values[i] > most ? values[i] : most;
	}
	for (size_t i = first; i < n; i++)
		buffer_puts(ret, isnan(values[i]) ? " " : blocks[level_of(values[i], least, most)]);
}
