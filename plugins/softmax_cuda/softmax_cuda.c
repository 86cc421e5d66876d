/* SPDX-License-Identifier: MIT */

/*
 * Softmax of each row, on the GPU. The kernels stand in softmax.cu; here is decided how they are
 * launched. A row that fits into the registers of one block is read once and written once, which
 * is all that can be asked of something that memory bounds; a longer one is read three times.
 */

#include <devserve/deployment.h>
#include <devserve/ext/check.h>
#include <devserve/ext/cuda.h>

enum { VALUES = 16, MAX_THREADS = 512 }; /* of a row that a thread holds (softmax.cu) */

static int launch(const struct devserve_host *host, float *y, const float *x, int rows, int columns)
{
	int threads = (columns + VALUES - 1) / VALUES;

	if (rows == 0 || columns == 0)
		return 0;
	if (threads <= MAX_THREADS && columns % 4 == 0)
		return devserve_launch(host, "softmax_short", devserve_xyz((uint32_t)rows, 1, 1),
				       devserve_xyz((uint32_t)(threads + 31) / 32 * 32, 1, 1), 0, y, x, columns);
	return devserve_launch(host, "softmax_long", devserve_xyz((uint32_t)rows, 1, 1),
			       devserve_xyz(256, 1, 1), 0, y, x, columns);
}

static int infer(const struct devserve_call *call)
{
	const struct devserve_tensor *x = &call->in[0];

	if (devserve_dim(x, -1) > INT32_MAX)
		return devserve_refuse(call, "a row has more than %d elements", INT32_MAX);
	return launch(call->host, call->out[0].data, x->data, (int)call->batch, (int)devserve_dim(x, -1));
}

/* The reference: each row by itself, in double precision. */
static double exponential(double x)
{
	double term = 1, sum = 1, scaled = x / 1024;

	for (int i = 1; i < 12; i++)
		sum += term *= scaled / i;
	for (int i = 0; i < 10; i++)
		sum *= sum;
	return sum;
}

static double worst_error(const float *y, const float *x, int columns)
{
	double top = x[0], sum = 0, worst = 0;

	for (int i = 1; i < columns; i++)
		top = x[i] > top ? x[i] : top;
	for (int i = 0; i < columns; i++)
		sum += exponential(x[i] - top);
	for (int i = 0; i < columns; i++) {
		double error = y[i] - exponential(x[i] - top) / sum;

		error = error < 0 ? -error : error;
		worst = error > worst || error != error ? error : worst;
	}
	return worst;
}

enum { CHECKED = 9001 };

/* One row of @columns on the GPU and here. */
static int check_row(const struct devserve_host *host, int columns)
{
	static float x[CHECKED], y[CHECKED];
	uint64_t size = (uint64_t)columns * sizeof(float);
	float *device = devserve_cuda_scratch(host, 2 * size + 256);
	float *out = device ? device + (columns + 63) / 64 * 64 : NULL; /* aligned, too */
	uint32_t random = 1;
	int r;

	if (!device)
		return -1;
	for (int i = 0; i < columns; i++) {
		random = random * 1664525u + 1013904223u;
		x[i] = (float)(random >> 8) / (1 << 21) - 4;
	}
	r = devserve_cuda_copy(host, device, x, size);
	if (r == 0)
		r = launch(host, out, device, 1, columns);
	if (r == 0)
		r = devserve_cuda_copy(host, y, out, size);
	if (r == 0)
		r = devserve_cuda_synchronize(host);
	if (r < 0)
		return r;
	if (worst_error(y, x, columns) < 1e-6)
		return 0;
	devserve_log(host, DEVSERVE_ERROR, "a row of %d differs from the reference by %g", columns,
		     worst_error(y, x, columns));
	return -1;
}

static int check(const struct devserve_host *host, void *self)
{
	static const int columns[] = { 1, 4, 31, 256, 1000, 4096, 8192, 9001 };
	int r = 0;

	(void)self;
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns) && r == 0; i++)
		r = check_row(host, columns[i]);
	return r;
}

DEVSERVE_CUDA()
DEVSERVE_CHECK(check)

DEVSERVE_DEPLOYMENT(
	.description = "Softmax of each row, on the GPU.",
	.inputs = DEVSERVE_TENSORS({ "INPUT0", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "OUTPUT0", DEVSERVE_FP32, { -1 } }),
	.max_batch_size = 65536,
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION, DEVSERVE_CHECK_EXTENSION },
)
