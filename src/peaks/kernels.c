/* SPDX-License-Identifier: MIT */

/*
 * An FMA takes 4 or 5 cycles, and two start in each: there must be ten under way that don't wait
 * for each other, hence twelve sums. They converge to 1, far from what is slow (denormal numbers).
 */

#include "peaks/kernels.h"

#include <immintrin.h>

static volatile double sink;
static volatile uint64_t sink_bits;

#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

#define DECLARE(i) a##i = start,
#define STEP(i) a##i = MULTIPLY_ADD(a##i, factor, term);
#define SUM(i) total = ADD(total, a##i);

/* @lanes numbers of type @number in a @vector. */
#define FMA_KERNEL(name, isa, vector, number, lanes, set)                                 \
	__attribute__((target(isa))) static double name(uint64_t n)                       \
	{                                                                                 \
		const vector start = set((number)0.5), factor = set((number)0.75), term = set((number)0.25); \
		vector TWELVE(DECLARE) total = set((number)0);                            \
		number parts[lanes];                                                      \
                                                                                          \
		for (uint64_t i = 0; i < n; i++) {                                        \
			TWELVE(STEP)                                                      \
		}                                                                         \
		TWELVE(SUM)                                                               \
		__builtin_memcpy(parts, &total, sizeof(parts));                           \
		sink = (double)parts[0];                                                  \
		return (double)n * 12 * 2 * lanes;                                        \
	}

#define ADD(a, b) ((a) + (b))
#define MULTIPLY_ADD _mm512_fmadd_ps
FMA_KERNEL(fp32_avx512, "avx512f", __m512, float, 16, _mm512_set1_ps)
#undef MULTIPLY_ADD
#define MULTIPLY_ADD _mm512_fmadd_pd
FMA_KERNEL(fp64_avx512, "avx512f", __m512d, double, 8, _mm512_set1_pd)
#undef MULTIPLY_ADD
#define MULTIPLY_ADD _mm256_fmadd_ps
FMA_KERNEL(fp32_avx2, "avx2,fma", __m256, float, 8, _mm256_set1_ps)
#undef MULTIPLY_ADD
#define MULTIPLY_ADD _mm256_fmadd_pd
FMA_KERNEL(fp64_avx2, "avx2,fma", __m256d, double, 4, _mm256_set1_pd)
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
FMA_KERNEL(fp32_sse2, "sse2", __m128, float, 4, _mm_set1_ps)
FMA_KERNEL(fp64_sse2, "sse2", __m128d, double, 2, _mm_set1_pd)

double kernel_fp32(uint64_t n)
{
	if (__builtin_cpu_supports("avx512f"))
		return fp32_avx512(n);
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? fp32_avx2(n) : fp32_sse2(n);
}

double kernel_fp64(uint64_t n)
{
	if (__builtin_cpu_supports("avx512f"))
		return fp64_avx512(n);
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? fp64_avx2(n) : fp64_sse2(n);
}

#define READ_KERNEL(name, isa, vector, load, either, zero)                                \
	__attribute__((target(isa))) static uint64_t name(const char *at, size_t size)    \
	{                                                                                 \
		vector a = zero(), b = zero(), c = zero(), d = zero();                    \
		uint64_t first;                                                           \
                                                                                          \
		for (const char *end = at + size; at < end; at += 4 * sizeof(vector)) {   \
			a = either(a, load((const void *)at));                            \
			b = either(b, load((const void *)(at + sizeof(vector))));         \
			c = either(c, load((const void *)(at + 2 * sizeof(vector))));     \
			d = either(d, load((const void *)(at + 3 * sizeof(vector))));     \
		}                                                                         \
		a = either(either(a, b), either(c, d));                                   \
		__builtin_memcpy(&first, &a, sizeof(first));                              \
		return first;                                                             \
	}

READ_KERNEL(read_avx512, "avx512f", __m512i, _mm512_load_si512, _mm512_or_si512, _mm512_setzero_si512)
READ_KERNEL(read_avx2, "avx2", __m256i, _mm256_load_si256, _mm256_or_si256, _mm256_setzero_si256)
READ_KERNEL(read_sse2, "sse2", __m128i, _mm_load_si128, _mm_or_si128, _mm_setzero_si128)

uint64_t kernel_read(const void *bytes, size_t size)
{
	sink_bits = __builtin_cpu_supports("avx512f") ? read_avx512(bytes, size) :
		    __builtin_cpu_supports("avx2")    ? read_avx2(bytes, size) :
							read_sse2(bytes, size);
	return sink_bits;
}
