/* SPDX-License-Identifier: MIT */

/*
 * gemm_bare [-m SIZE] [-n CALLS] [-g MICROSECONDS]: what the kernel of plugins/matmul takes
 * with no server around it. Multiplies two SIZE x SIZE matrices (1024) CALLS times (10), with
 * a pause of that many MICROSECONDS before each call (0), and prints one line of JSON.
 *
 * OpenBLAS is set up as devserve-worker sets it up (src/worker/main.c, hold_libraries): the
 * same environment, opened by dlopen(), as many threads as it chooses itself.
 */

#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { ROW_MAJOR = 101, AS_IT_LIES = 111 }; /* of CBLAS */

typedef void (*sgemm_fn)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
			 const float *a, int lda, const float *b, int ldb, float beta, float *c,
			 int ldc);

static void *open_blas(void)
{
	void *library;

	setenv("OPENBLAS_THREAD_TIMEOUT", "4", 0);
	library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library) {
		fprintf(stderr, "gemm_bare: %s\n", dlerror());
		exit(1);
	}
	return library;
}

static int threads_of(void *library)
{
	int (*get)(void);

	*(void **)&get = dlsym(library, "openblas_get_num_threads");
	return get ? get() : 0;
}

static float *make_matrix(int size)
{
	size_t n = (size_t)size * (size_t)size;
	float *m = xmalloc(n * sizeof(*m));

	for (size_t i = 0; i < n; i++)
		m[i] = (float)(i % 7) * 0.25f - 0.5f;
	return m;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure(sgemm_fn sgemm, int size, int gap_us, uint64_t *took, int calls)
{
	float *a = make_matrix(size), *b = make_matrix(size), *c = make_matrix(size);

	for (int i = -2; i < calls; i++) { /* two that don't count */
		uint64_t started;

		if (gap_us)
			usleep((useconds_t)gap_us);
		started = clock_ns();
		sgemm(ROW_MAJOR, AS_IT_LIES, AS_IT_LIES, size, size, size, 1, a, size, b, size, 0, c,
		      size);
		if (i >= 0)
			took[i] = clock_ns() - started;
	}
	free(a);
	free(b);
	free(c);
}

static void tell(uint64_t *took, int calls, int threads)
{
	uint64_t sum = 0;

	for (int i = 0; i < calls; i++)
		sum += took[i];
	qsort(took, (size_t)calls, sizeof(*took), compare);
	printf("{\"calls\": %d, \"threads\": %d, \"mean_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
	       ", \"min_ns\": %" PRIu64 "}\n",
	       calls, threads, sum / (uint64_t)calls, took[calls / 2], took[0]);
}

int main(int argc, char **argv)
{
	int c, size = 1024, calls = 10, gap_us = 0;
	void *library;
	sgemm_fn sgemm;
	uint64_t *took;

	while ((c = getopt(argc, argv, "m:n:g:")) != -1) {
		if (c == '?')
			return 2;
		*(c == 'm' ? &size : c == 'n' ? &calls : &gap_us) = (int)strtol(optarg, NULL, 10);
	}
	if (size < 1 || calls < 1 || gap_us < 0)
		return 2;
	library = open_blas();
	*(void **)&sgemm = dlsym(library, "cblas_sgemm");
	if (!sgemm)
		return 1;
	took = xcalloc((size_t)calls, sizeof(*took));
	measure(sgemm, size, gap_us, took, calls);
	tell(took, calls, threads_of(library));
	free(took);
	return 0;
}
