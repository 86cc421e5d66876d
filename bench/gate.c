/* SPDX-License-Identifier: MIT */

/*
 * gate REQUEST-FILE: what ingress/gate.c takes to judge the head of that request, again and
 * again, as it lies in the cache. Prints one line of JSON: the median and the quickest of many
 * rounds of a thousand, ns a request.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ingress/gate.h"

#define ROUNDS 301
#define CALLS 1000

static char *read_file(const char *path, size_t *ret_size)
{
	char *bytes = xmalloc(1 << 20);
	FILE *f = fopen(path, "re");

	if (!f) {
		perror(path);
		exit(1);
	}
	*ret_size = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	return bytes;
}

static double time_round(const char *bytes, size_t size)
{
	uint64_t begin = clock_ns();

	for (int i = 0; i < CALLS; i++) {
		struct gate g = GATE_NULL;
		const char *why;

		if (gate_head(&g, bytes, size, &why) != GATE_WHOLE) {
			fprintf(stderr, "gate: the request is refused\n");
			exit(1);
		}
		__asm__ volatile("" : : "r"(&g) : "memory");
	}
	return (double)(clock_ns() - begin) / CALLS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double ns[ROUNDS];
	size_t size;
	char *bytes;

	if (argc != 2) {
		fprintf(stderr, "usage: gate REQUEST-FILE\n");
		return 2;
	}
	bytes = read_file(argv[1], &size);
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = time_round(bytes, size);
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	printf("{\"median_ns\": %.1f, \"least_ns\": %.1f}\n", ns[ROUNDS / 2], ns[0]);
	free(bytes);
	return 0;
}
