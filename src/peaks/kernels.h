/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Kernels
 *
 * Loops that do one thing as fast as the processor can: it is asked which instructions it has.
 */

#include <stddef.h>
#include <stdint.h>

/* @n rounds of multiply and add; how many floating-point operations that were. */
double kernel_fp32(uint64_t n);
double kernel_fp64(uint64_t n);

/* Something that depends on all @size bytes, a multiple of 256. */
uint64_t kernel_read(const void *bytes, size_t size);
