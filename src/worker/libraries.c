/* SPDX-License-Identifier: MIT */
#include "worker/libraries.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void libraries_hold(struct libraries *l)
{
	setenv("OPENBLAS_THREAD_TIMEOUT", "4", 0); /* or its pool burns a core for 100 ms */
	l->blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	l->openmp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

static void call_with(void *library, const char *function, unsigned n)
{
	void *address = library ? dlsym(library, function) : NULL;
	void (*call)(int);

	if (!address)
		return;
	memcpy(&call, &address, sizeof(call)); /* ISO C has no cast for it */
	call((int)n);
}

void libraries_limit_threads(struct libraries *l, unsigned n)
{
	if (n == l->threads)
		return;
	l->threads = n;
	call_with(l->blas, "openblas_set_num_threads", l->threads);
	call_with(l->openmp, "omp_set_num_threads", l->threads);
}
