/* SPDX-License-Identifier: MIT */

/*
 * Matrix products on the GPU: INPUT0 [m,k] times INPUT1 [k,n] gives OUTPUT0 [m,n], by cuBLAS,
 * whose handle the host keeps. cuBLAS counts by columns: to it our matrices are transposed, so
 * it is asked for B^T A^T, which is C^T, which is C as we lay it out.
 *
 * Two functions are declared by hand: <cublas_v2.h> would add its milliseconds to every save.
 */

#include <devserve/deployment.h>
#include <devserve/ext/check.h>
#include <devserve/ext/cuda.h>

/* For another precision, e.g. DEVSERVE_BF16 and 14, which CUDA calls CUDA_R_16BF. */
enum { DATATYPE = DEVSERVE_FP32, OF_CUDA = 0 /* CUDA_R_32F */ };

enum { AS_IT_LIES = 0, IN_FP32 = 68 /* CUBLAS_COMPUTE_32F */, ITS_CHOICE = -1 };

int cublasGemmEx(void *handle, int trans_a, int trans_b, int m, int n, int k, const void *alpha, const void *a,
		 int type_a, int lda, const void *b, int type_b, int ldb, const void *beta, void *c, int type_c,
		 int ldc, int compute, int algorithm);
const char *cublasGetStatusString(int status);

/* a[m,k] b[k,n] -> c[m,n]: 0 or what cuBLAS says. */
static int multiply(void *blas, int m, int n, int k, const void *a, const void *b, void *c)
{
	const float one = 1, zero = 0;

	return cublasGemmEx(blas, AS_IT_LIES, AS_IT_LIES, n, m, k, &one, b, OF_CUDA, n, a, OF_CUDA, k ? k : 1,
			    &zero, c, OF_CUDA, n, IN_FP32, ITS_CHOICE);
}

static int infer(const struct devserve_call *call)
{
	const struct devserve_tensor *a = &call->in[0], *b = &call->in[1];
	int64_t m = devserve_dim(a, -2), k = devserve_dim(a, -1), n = devserve_dim(b, -1);
	void *blas = devserve_cuda_blas(call->host), *c;
	int status;

	if (devserve_dim(b, -2) != k)
		return devserve_refuse(call, "%s has %ld rows, %s has %ld columns", b->name,
				       (long)devserve_dim(b, -2), a->name, (long)k);
	if (m > INT32_MAX || n > INT32_MAX || k > INT32_MAX)
		return devserve_refuse(call, "a matrix has more than %d rows or columns", INT32_MAX);
	c = devserve_make(call, 0, m, n);
	if (!c || !blas)
		return -1;
	if (m == 0 || n == 0)
		return 0;
	status = multiply(blas, (int)m, (int)n, (int)k, a->data, b->data, c);
	return status ? devserve_fail(call, "cuBLAS: %s", cublasGetStatusString(status)) : 0;
}

enum { M = 37, N = 45, K = 29 };

/* The kernels of cuBLAS come into the context with their first use: here, not in a call. */
static int create(const struct devserve_host *host, void **self)
{
	(void)self;
	return devserve_cuda_blas(host) ? 0 : -1;
}

#define SIZE(rows, columns) ((uint64_t)(rows) * (columns) * sizeof(float))

/* A product whose every sum is exact, here and there. FP32 alone. */
static int check(const struct devserve_host *host, void *self)
{
	static float a[M * K], b[K * N], c[M * N];
	void *da = devserve_cuda_scratch(host, SIZE(M, K)), *db = devserve_cuda_scratch(host, SIZE(K, N));
	void *dc = devserve_cuda_scratch(host, SIZE(M, N));

	(void)self;
	if (OF_CUDA != 0)
		return 0;
	if (!da || !db || !dc)
		return -1;
	for (int i = 0; i < M * K; i++)
		a[i] = (float)(i * 7 % 11 - 5);
	for (int i = 0; i < K * N; i++)
		b[i] = (float)(i * 5 % 13 - 6);
	if (devserve_cuda_copy(host, da, a, SIZE(M, K)) || devserve_cuda_copy(host, db, b, SIZE(K, N)) ||
	    multiply(devserve_cuda_blas(host), M, N, K, da, db, dc) ||
	    devserve_cuda_copy(host, c, dc, SIZE(M, N)) || devserve_cuda_synchronize(host)) {
		devserve_log(host, DEVSERVE_ERROR, "cuBLAS does not work here");
		return -1;
	}
	for (int i = 0; i < M * N; i++) {
		float sum = 0;

		for (int j = 0; j < K; j++)
			sum += a[i / N * K + j] * b[j * N + i % N];
		if (sum == c[i])
			continue;
		devserve_log(host, DEVSERVE_ERROR, "element %d is %g instead of %g", i, (double)c[i], (double)sum);
		return -1;
	}
	return 0;
}

DEVSERVE_CUDA()
DEVSERVE_CHECK(check)

DEVSERVE_DEPLOYMENT(
	.description = "Matrix product of INPUT0 [m,k] and INPUT1 [k,n], by cuBLAS.",
	.inputs = DEVSERVE_TENSORS({ "INPUT0", DATATYPE, { -1, -1 } }, { "INPUT1", DATATYPE, { -1, -1 } }),
	.outputs = DEVSERVE_TENSORS({ "OUTPUT0", DATATYPE, { -1, -1 } }),
	.create = create,
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION, DEVSERVE_CHECK_EXTENSION },
)
