/* SPDX-License-Identifier: MIT */

/*
 * A point (x, y) says: x lines of the old text and y of the new one are dealt with. Diagonals
 * k = x - y; a line that is in both goes along one for nothing. reached[d] holds, for each
 * diagonal from -d to d, how far d edits get; from the end the way is found back through them.
 */

#include "build/line_map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

#define MAX_EDITS 256

struct texts {
	const uint32_t *a, *b;
	ptrdiff_t n, m;
	ptrdiff_t *reached[MAX_EDITS + 1];
};

/* Whether the way to diagonal @k in @d edits comes from the one above: a line was added. */
static bool came_from_above(const struct texts *t, ptrdiff_t d, ptrdiff_t k)
{
	const ptrdiff_t *last = t->reached[d - 1] + (d - 1);

	return k == -d || (k != d && last[k - 1] < last[k + 1]);
}

static ptrdiff_t start_of(const struct texts *t, ptrdiff_t d, ptrdiff_t k)
{
	const ptrdiff_t *last;

	if (d == 0)
		return 0;
	last = t->reached[d - 1] + (d - 1);
	return came_from_above(t, d, k) ? last[k + 1] : last[k - 1] + 1;
}

static ptrdiff_t slide(const struct texts *t, ptrdiff_t x, ptrdiff_t k)
{
	while (x < t->n && x - k < t->m && x - k >= 0 && t->a[x] == t->b[x - k])
		x++;
	return x;
}

/* How many edits it takes; -1: more than are looked for. */
static ptrdiff_t search(struct texts *t)
{
	for (ptrdiff_t d = 0; d <= MAX_EDITS; d++) {
		t->reached[d] = xcalloc((size_t)(2 * d + 1), sizeof(ptrdiff_t));
		for (ptrdiff_t k = -d; k <= d; k += 2) {
			ptrdiff_t x = slide(t, start_of(t, d, k), k);

			t->reached[d][k + d] = x;
			if (x >= t->n && x - k >= t->m)
				return d;
		}
	}
	return -1;
}

static void walk_back(const struct texts *t, ptrdiff_t d, size_t offset, size_t *ret)
{
	ptrdiff_t k = t->n - t->m;

	for (ptrdiff_t x = t->n; d >= 0; d--) {
		ptrdiff_t start = start_of(t, d, k);

		while (x > start) {
			x--;
			ret[x] = (size_t)(x - k) + offset;
		}
		if (d > 0 && came_from_above(t, d, k))
			k++;
		else if (d > 0) {
			k--;
			x--;
		}
	}
}

void line_map(const uint32_t *before, size_t n_before, const uint32_t *after, size_t n_after, size_t *ret)
{
	size_t head = 0, tail = 0;
	struct texts t = { .a = NULL };
	ptrdiff_t d;

	while (head < n_before && head < n_after && before[head] == after[head]) {
		ret[head] = head;
		head++;
	}
	while (tail < n_before - head && tail < n_after - head &&
	       before[n_before - tail - 1] == after[n_after - tail - 1]) {
		tail++;
		ret[n_before - tail] = n_after - tail;
	}
	for (size_t i = head; i < n_before - tail; i++)
		ret[i] = LINE_GONE;
	t.a = before + head;
	t.b = after + head;
	t.n = (ptrdiff_t)(n_before - head - tail);
	t.m = (ptrdiff_t)(n_after - head - tail);
	d = search(&t);
	if (d >= 0)
		walk_back(&t, d, head, ret + head);
	for (ptrdiff_t i = 0; i <= MAX_EDITS; i++)
		free(t.reached[i]);
}

uint32_t *line_hashes(const char *text, size_t size, size_t *ret_n)
{
	const char *end = text + size;
	uint32_t *hashes = NULL;
	size_t n = 0;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((eol ? eol : end) - text), indent = 0;

		while (indent < length && (text[indent] == ' ' || text[indent] == '\t'))
			indent++;
		if (n % 256 == 0)
			hashes = xrealloc(hashes, (n + 256) * sizeof(*hashes));
		hashes[n++] = (uint32_t)hash_bytes(text + indent, length - indent).low;
		text += length + (eol != NULL);
	}
	*ret_n = n;
	return hashes;
}
