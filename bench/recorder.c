/* SPDX-License-Identifier: MIT */

/*
 * recorder CALL-NS: what record/recorder.c takes of a call, choosing and copying together, where a call
 * comes every CALL-NS. Two inputs and two outputs of 64 bytes, in batches of 1 to 64 rows. Prints one line
 * of JSON: the median and the quickest of many rounds, ns a call.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "infer/signature.h"
#include "infer/tensor.h"
#include "record/recorder.h"

#define ROUNDS 101
#define CALLS 20000

static char memory[64 * 64 * 5];
static struct recorder recorder;
static struct recorder_call call = { .base = memory, .n_in = 2, .n_out = 2 };
static struct tensor inputs[2] = { { .rank = 2, .shape = { 1, 16 } }, { .rank = 2, .shape = { 1, 16 } } };

static void record(uint64_t kind, uint32_t rows)
{
	struct recorded *d;

	call.kind = kind;
	call.batch = rows;
	for (unsigned i = 0; i < 4; i++)
		call.tensors[i] = (struct call_tensor){ .offset = 64 + i * rows * 64, .size = rows * 64, .rank = 2,
							.shape = { rows, 16 }, .dtype = DEVSERVE_INT32 };
	d = recorder_reserve(&recorder, &call);
	if (!d)
		return;
	recorder_copy(&recorder, d, &call);
	recorder_keep(&recorder, d);
}

static void offer(uint32_t rows, uint64_t now_ns)
{
	uint64_t kind;

	if (!recorder_listens(&recorder, now_ns))
		return;
	kind = recorder_kind(inputs, 2, rows);
	if (recorder_wants(&recorder, call.signature, kind))
		record(kind, rows);
}

static double time_round(uint64_t interval_ns, uint64_t *now_ns)
{
	uint64_t begin = clock_ns();

	for (uint32_t i = 0; i < CALLS; i++)
		offer(1 + i * 7 % 64, *now_ns += interval_ns);
	return (double)(clock_ns() - begin) / CALLS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static struct recorders all = { .limit = UINT64_C(256) << 20, .each = UINT64_C(64) << 20 };
	static double rounds[ROUNDS];
	uint64_t interval_ns, now_ns = NS_PER_S;

	if (argc != 2 || !(interval_ns = strtoull(argv[1], NULL, 10))) {
		fprintf(stderr, "usage: recorder CALL-NS\n");
		return 2;
	}
	call.signature = signature_new();
	recorder_init(&recorder, &all);
	time_round(interval_ns, &now_ns); /* what is saved up at the start */
	for (int i = 0; i < ROUNDS; i++)
		rounds[i] = time_round(interval_ns, &now_ns);
	qsort(rounds, ROUNDS, sizeof(*rounds), compare);
	printf("{\"median_ns\": %.2f, \"quickest_ns\": %.2f}\n", rounds[ROUNDS / 2], rounds[0]);
	recorder_fini(&recorder);
	signature_unref(call.signature);
	return 0;
}
