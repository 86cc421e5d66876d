/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cuBLAS
 *
 * Its handles take 100 ms and device memory to make, so they are kept across swaps, one for each
 * lane, on its stream.
 */

struct gpu;

/* The calling thread's cublasHandle_t; NULL: the author was told why. */
void *blas_handle(const struct gpu *g);
