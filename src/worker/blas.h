/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cuBLAS and cuBLASLt
 *
 * Their handles take 100 ms and device memory to make, so they are kept across swaps, one for each
 * lane.
 */

struct gpu;

/* The calling thread's cublasHandle_t, on its stream; NULL: the author was told why. */
void *blas_handle(const struct gpu *g);

/* Its cublasLtHandle_t, which has no stream: each of cuBLASLt's functions is told one. NULL likewise. */
void *blas_lt_handle(const struct gpu *g);
