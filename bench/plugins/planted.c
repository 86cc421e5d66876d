/* SPDX-License-Identifier: MIT */

/*
 * Kernels whose work is known: KIND says what is done, WORK how often, VARIANT is a number that makes
 * other code of it which does the same. bench/run writes these four lines anew and saves.
 */

#include <devserve/deployment.h>

#define KIND chain
#define WORK 1000
#define VARIANT 0
#define PLACE 0

/* Code that does nothing but be there, before the kernel or behind it. */
#define BALLAST(n)                                        \
	int ballast_##n(int a);                           \
	__attribute__((used)) int ballast_##n(int a)      \
	{                                                 \
		for (int i = 0; i < a + (VARIANT) % 7; i++) \
			a = a * (VARIANT) + i;            \
		return a;                                 \
	}

#if PLACE % 2
BALLAST(before)
#endif

#define KERNEL __attribute__((unused)) static float

enum { LENGTH = 4096, FAR = 4 << 20 };

static float a[LENGTH], b[LENGTH], far[FAR];
static uint16_t where[LENGTH];

/* Each turn needs what the one before gave. */
KERNEL chain(int64_t n, float x)
{
	for (int64_t i = 0; i < n; i++)
		x = x * 0.999f + 0.5f;
	return x;
}

/* As fast as the vector units and the nearest cache allow. */
KERNEL vector(int64_t n, float x)
{
	for (int64_t done = 0; done < n; done += LENGTH) {
		int64_t m = n - done < LENGTH ? n - done : LENGTH;

		for (int64_t i = 0; i < m; i++)
			b[i] = b[i] * 0.5f + a[i] * x;
	}
	return b[0];
}

/* As fast as memory does. */
KERNEL memory(int64_t n, float x)
{
	float sum[16] = { 0 };

	for (int i = 0; i < FAR && far[1] == 0; i += 2) /* backwards, so that it happens once */
		far[FAR - 1 - i] = 1;
	for (int64_t done = 0; done < n; done += FAR) {
		int64_t m = n - done < FAR ? n - done : FAR;

		for (int64_t i = 0; i + 16 <= m; i += 16)
			for (int j = 0; j < 16; j++)
				sum[j] += far[i + j] * x;
	}
	return sum[0] + sum[7];
}

/* Rows of a product of matrices, by hand. */
KERNEL product(int64_t n, float x)
{
	float sum = 0;

	for (int64_t row = 0; row < n; row++) {
		const float *p = a + row % 64 * 64;
		float s = x;

		for (int k = 0; k < 64; k++)
			s += p[k] * b[k * 64 + row % 64];
		sum += s;
	}
	return sum;
}

/* What lies here and there. */
KERNEL gather(int64_t n, float x)
{
	float sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += a[where[i % LENGTH]] * x;
	return sum;
}

static int create(const struct devserve_host *host, void **self)
{
	uint32_t seed = 1;

	(void)host, (void)self;
	for (int i = 0; i < LENGTH; i++) {
		seed = seed * 1664525u + 1013904223u;
		a[i] = (float)(seed >> 8) / (1u << 24);
		where[i] = (uint16_t)(seed >> 20);
	}
	return 0;
}

static int infer(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = call->out[0].data;

	y[0] = KIND(WORK, x[0]);
	return 0;
}

#if PLACE & 2
BALLAST(behind)
#endif

#define TEXT(x) #x
#define QUOTED(x) TEXT(x)

DEVSERVE_DEPLOYMENT(
	.description = "Does " QUOTED(KIND) ", variant " QUOTED(VARIANT) ".",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { 1 } }),
	.create = create,
	.infer = infer,
)
