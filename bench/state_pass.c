/* SPDX-License-Identifier: MIT */

/*
 * state_pass FROM TO: what it takes to make a state of the layout in the file FROM (as devserve-debug
 * prints it) one of TO: to compare the two, and to copy its members. Prints one line of JSON: the
 * medians of many rounds, ns, and that of a memcpy() of the larger one.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "state/plan.h"

#define ROUNDS 201

static struct layout *read_layout(const char *path)
{
	char *text = xmalloc(LAYOUT_MAX_TEXT);
	FILE *f = fopen(path, "re");
	size_t size = f ? fread(text, 1, LAYOUT_MAX_TEXT, f) : 0;
	struct layout *l = layout_parse(text, size);

	if (!l) {
		fprintf(stderr, "state_pass: %s is no layout\n", path);
		exit(1);
	}
	fclose(f);
	free(text);
	return l;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	return ns[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	static uint64_t planned[ROUNDS], applied[ROUNDS], copied[ROUNDS];
	struct layout *from, *to;
	char *old, *new, *copy;
	uint64_t size;

	if (argc != 3)
		return 2;
	from = read_layout(argv[1]);
	to = read_layout(argv[2]);
	size = from->size > to->size ? from->size : to->size;
	old = xcalloc(1, size);
	new = xcalloc(1, size);
	copy = xcalloc(1, size);
	memset(old, 0x81, size); /* negative integers */
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = clock_ns();
		struct plan plan;

		plan_make(from, to, &plan);
		planned[i] = clock_ns() - begin;
		if (plan.misfits.n) {
			fprintf(stderr, "state_pass: %s\n", plan.misfits.text.data);
			return 1;
		}
		begin = clock_ns();
		plan_apply(&plan, old, new);
		applied[i] = clock_ns() - begin;
		__asm__ volatile("" : : "r"(new) : "memory");
		plan_fini(&plan);
		begin = clock_ns();
		memcpy(copy, old, size);
		__asm__ volatile("" : : "r"(copy) : "memory");
		copied[i] = clock_ns() - begin;
	}
	printf("{\"size\":%" PRIu64 ",\"plan_ns\":%" PRIu64 ",\"apply_ns\":%" PRIu64 ",\"memcpy_ns\":%" PRIu64 "}\n", size,
	       median(planned), median(applied), median(copied));
	return 0;
}
