/* SPDX-License-Identifier: MIT */

/*
 * Matrix products: INPUT0 [b,m,k] times INPUT1 [b,k,n] gives OUTPUT0 [b,m,n], row-major.
 *
 * Each element of the batch has a right side of its own, so the batch is a loop of products.
 * Inside, OpenBLAS is asked in the way it answers fastest. For m·n·k up to 10^6 it has
 * kernels that take the right side as it lies; above, it first copies that side into tiles,
 * which costs the same for 4 rows as for 400. Few rows never earn it back, so they are
 * handed over in stripes that stay below the bound, or row by row where even a pair is too
 * much. Measured with one thread (OpenBLAS 0.3.21, Zen 4), microseconds:
 *
 *	 m     k     n   in one call   as here
 *	 1  1024  1024           240        53    rows
 *	 4  1024   256            44        22    stripes of 2
 *	 8   512   512            77        45    stripes of 2
 *	32   256   256            45        36    stripes of 14
 *	64  1024   256           340       340    in one call
 *
 * Two functions are declared by hand: <cblas.h> would add its milliseconds to every save.
 */

#include <devserve/deployment.h>
#include <devserve/ext/reference.h>
#include <devserve/ext/work.h>

enum { ROW_MAJOR = 101, AS_IT_LIES = 111, TRANSPOSED = 112 }; /* of CBLAS */
enum { SMALL = 1000000, FEW_ROWS = 32, VERY_FEW_ROWS = 4 };

void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
		 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
void cblas_sgemv(int order, int trans, int rows, int columns, float alpha, const float *a, int lda,
		 const float *x, int x_step, float beta, float *y, int y_step);

/* a[m,k] b[k,n] -> c[m,n] */
static void multiply(int m, int n, int k, const float *a, const float *b, float *c)
{
	int64_t right = (int64_t)n * k;
	int64_t stripe = SMALL / (right + 1) & ~1; /* + 1: k may be 0 */

	if (stripe == 0 && m <= VERY_FEW_ROWS) {
		for (int i = 0; i < m; i++)
			cblas_sgemv(ROW_MAJOR, TRANSPOSED, k, n, 1, b, n, a + (size_t)i * k, 1, 0,
				    c + (size_t)i * n, 1);
		return;
	}
	if (stripe == 0 || m > FEW_ROWS)
		stripe = m;
	for (int i = 0, rows; i < m; i += rows) {
		rows = m - i < stripe ? m - i : (int)stripe;
		cblas_sgemm(ROW_MAJOR, AS_IT_LIES, AS_IT_LIES, rows, n, k, 1, a + (size_t)i * k,
			    k ? k : 1, b, n, 0, c + (size_t)i * n, n);
	}
}

static int infer(const struct devserve_call *call)
{
	const struct devserve_tensor *a = &call->in[0], *b = &call->in[1];
	int64_t m = devserve_dim(a, -2), k = devserve_dim(a, -1), n = devserve_dim(b, -1);
	float *c;

	if (devserve_dim(b, -2) != k)
		return devserve_refuse(call, "%s has %ld rows, %s has %ld columns", b->name,
				       (long)devserve_dim(b, -2), a->name, (long)k);
	if (m > INT32_MAX || n > INT32_MAX || k > INT32_MAX)
		return devserve_refuse(call, "a matrix has more than %d rows or columns", INT32_MAX);
	c = devserve_make(call, 0, call->batch, m, n);
	if (!c)
		return devserve_fail(call, "no memory for the product");
	if (m == 0 || n == 0)
		return 0;
	for (int64_t i = 0; i < call->batch; i++)
		multiply((int)m, (int)n, (int)k, (const float *)a->data + i * m * k,
			 (const float *)b->data + i * k * n, c + i * m * n);
	return 0;
}

/* The sums that a save is measured against: which order of adding is more exact, only this can tell. */
static int reference(const struct devserve_call *call)
{
	const float *a = call->in[0].data, *b = call->in[1].data;
	int64_t m = devserve_dim(&call->in[0], -2), k = devserve_dim(&call->in[0], -1);
	int64_t n = devserve_dim(&call->in[1], -1);
	double *c = call->out[0].data;

	for (int64_t row = 0; row < call->batch * m; row++)
		for (int64_t l = 0; l < k; l++)
			for (int64_t j = 0; j < n; j++)
				c[row * n + j] += (double)a[row * k + l] * b[(row / m * k + l) * n + j];
	return 0;
}

DEVSERVE_REFERENCE(reference)

/* A multiplication and an addition for each m, n and k; each matrix once. */
static void work(const struct devserve_call *call, struct devserve_work *ret)
{
	const struct devserve_tensor *a = &call->in[0], *b = &call->in[1];
	double m = (double)devserve_dim(a, -2), k = (double)devserve_dim(a, -1), n = (double)devserve_dim(b, -1);

	ret->flops = 2 * call->batch * m * n * k;
	ret->bytes = sizeof(float) * call->batch * (m * k + k * n + m * n);
}

DEVSERVE_WORK(work)

DEVSERVE_DEPLOYMENT(
	.description = "Matrix product of INPUT0 [m,k] and INPUT1 [k,n].",
	.inputs = DEVSERVE_TENSORS({ "INPUT0", DEVSERVE_FP32, { -1, -1 } },
				   { "INPUT1", DEVSERVE_FP32, { -1, -1 } }),
	.outputs = DEVSERVE_TENSORS({ "OUTPUT0", DEVSERVE_FP32, { -1, -1 } }),
	.max_batch_size = 64,
	.infer = infer,
	.extensions = { DEVSERVE_REFERENCE_EXTENSION, DEVSERVE_WORK_EXTENSION },
)
