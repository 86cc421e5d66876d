/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Libraries
 *
 * OpenBLAS and OpenMP, whose threads and state must outlive every image: mapped once, never unmapped.
 * A plugin that brought libgomp itself would crash the process at its dlclose().
 */

struct libraries {
	void *blas, *openmp; /* or NULL */
	unsigned threads;    /* that they use; 0: their own choice */
};

void libraries_hold(struct libraries *l);

/* Of the thread that runs the kernels: the cores of other replicas are not ours. */
void libraries_limit_threads(struct libraries *l, unsigned n);
