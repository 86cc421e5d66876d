/* SPDX-License-Identifier: MIT */

/*
 * Attention of each head by itself: softmax(QUERY KEYᵀ / √64) VALUE. With CAUSAL a query sees no key
 * that comes after it. The kernel stands in attention.cu; here is decided how it is launched, and
 * what is right.
 */

#include <math.h>

#include <devserve/deployment.h>
#include <devserve/ext/check.h>
#include <devserve/ext/cuda.h>
#include <devserve/ext/reference.h>
#include <devserve/ext/work.h>

enum { DEPTH = 64, QUERIES = 64, THREADS = 128 }; /* of a head; of a block (attention.cu) */

static int launch(const struct devserve_host *host, float *out, const float *q, const float *k, const float *v,
		  int heads, int sequence, int is_causal)
{
	int64_t blocks = (int64_t)heads * ((sequence + QUERIES - 1) / QUERIES);

	if (blocks == 0)
		return 0;
	return devserve_launch(host, "attention", devserve_xyz((uint32_t)blocks, 1, 1), devserve_xyz(THREADS, 1, 1), 0,
			       out, q, k, v, sequence, is_causal);
}

static int is_causal(const struct devserve_call *call)
{
	return *(const uint8_t *)call->in[3].data != 0;
}

static int infer(const struct devserve_call *call)
{
	int64_t heads = devserve_dim(&call->in[0], 0), sequence = devserve_dim(&call->in[0], 1);
	void *out;

	for (int i = 1; i < 3; i++)
		if (devserve_dim(&call->in[i], 0) != heads || devserve_dim(&call->in[i], 1) != sequence)
			return devserve_refuse(call, "%s has not the shape of %s", call->in[i].name, call->in[0].name);
	if (sequence > INT32_MAX - QUERIES || heads > INT32_MAX / (sequence / QUERIES + 1))
		return devserve_refuse(call, "more than %d heads and tiles of queries", INT32_MAX);
	out = devserve_make(call, 0, heads, sequence, DEPTH);
	return out ? launch(call->host, out, call->in[0].data, call->in[1].data, call->in[2].data, (int)heads,
			    (int)sequence, is_causal(call))
		   : -1;
}

/* The reference: one query after the other, in double precision. */
static double dot(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < DEPTH; i++)
		sum += (double)a[i] * b[i];
	return sum;
}

/* Of one query and the first @n keys of its head. */
static void attend(double *out, const float *query, const float *keys, const float *values, int64_t n)
{
	double top = -INFINITY, sum = 0;

	for (int64_t k = 0; k < n; k++)
		top = fmax(top, dot(query, keys + k * DEPTH) / 8);
	for (int i = 0; i < DEPTH; i++)
		out[i] = 0;
	for (int64_t k = 0; k < n; k++) {
		double weight = exp(dot(query, keys + k * DEPTH) / 8 - top);

		sum += weight;
		for (int i = 0; i < DEPTH; i++)
			out[i] += weight * values[k * DEPTH + i];
	}
	for (int i = 0; i < DEPTH; i++)
		out[i] /= sum;
}

/* Pairs of a query and a key that it sees. */
static double pairs(const struct devserve_call *call)
{
	double heads = (double)devserve_dim(&call->in[0], 0), n = (double)devserve_dim(&call->in[0], 1);

	return heads * (is_causal(call) ? n * (n + 1) / 2 : n * n);
}

#define MOST_PAIRS 4e6 /* a second or so, here */

static int reference(const struct devserve_call *call)
{
	const float *q = call->in[0].data, *k = call->in[1].data, *v = call->in[2].data;
	int64_t sequence = devserve_dim(&call->in[0], 1), rows = devserve_dim(&call->in[0], 0) * sequence;

	if (pairs(call) > MOST_PAIRS)
		return -1;
	for (int64_t row = 0; row < rows; row++) {
		int64_t head = row / sequence * sequence * DEPTH;

		attend((double *)call->out[0].data + row * DEPTH, q + row * DEPTH, k + head, v + head,
		       is_causal(call) ? row % sequence + 1 : sequence);
	}
	return 0;
}

/* Two products; each tensor comes or goes once. */
static void work(const struct devserve_call *call, struct devserve_work *ret)
{
	ret->flops = 4.0 * DEPTH * pairs(call);
	ret->bytes = 4.0 * (double)call->in[0].size;
}

/* Some heads on the GPU and here */

enum { CHECKED = 200 * DEPTH }; /* elements, at most */

static void fill(float *ret, int n, uint32_t random)
{
	for (int i = 0; i < n; i++) {
		random = random * 1664525u + 1013904223u;
		ret[i] = (float)(random >> 8) / (1 << 22) - 2;
	}
}

static double worst_error(const float *out, const float *q, const float *k, const float *v, int rows, int sequence,
			  int causal)
{
	double right[DEPTH], worst = 0;

	for (int row = 0; row < rows; row++) {
		int head = row / sequence * sequence * DEPTH;

		attend(right, q + row * DEPTH, k + head, v + head, causal ? row % sequence + 1 : sequence);
		for (int i = 0; i < DEPTH; i++) {
			double error = fabs(out[row * DEPTH + i] - right[i]);

			worst = error > worst || isnan(error) ? error : worst;
		}
	}
	return worst;
}

static int compute(const struct devserve_host *host, float *out, const float *const in[3], int heads, int sequence,
		   int causal)
{
	uint64_t n = (uint64_t)heads * (uint64_t)sequence * DEPTH, size = n * sizeof(float);
	float *at = devserve_cuda_scratch(host, 4 * size);
	int r = at ? 0 : -1;

	for (int i = 0; i < 3 && r == 0; i++)
		r = devserve_cuda_copy(host, at + (uint64_t)i * n, in[i], size);
	if (r == 0)
		r = launch(host, at + 3 * n, at, at + n, at + 2 * n, heads, sequence, causal);
	if (r == 0)
		r = devserve_cuda_copy(host, out, at + 3 * n, size);
	return r == 0 ? devserve_cuda_synchronize(host) : r;
}

static int check_heads(const struct devserve_host *host, int heads, int sequence, int causal)
{
	static float q[CHECKED], k[CHECKED], v[CHECKED], out[CHECKED];
	double error;
	int r;

	fill(q, CHECKED, 1);
	fill(k, CHECKED, 2);
	fill(v, CHECKED, 3);
	r = compute(host, out, (const float *const[]){ q, k, v }, heads, sequence, causal);
	if (r < 0)
		return r;
	error = worst_error(out, q, k, v, heads * sequence, sequence, causal);
	if (error < 1e-5)
		return 0;
	devserve_log(host, DEVSERVE_ERROR, "%d heads of %d%s differ from the reference by %g", heads, sequence,
		     causal ? ", causal," : "", error);
	return -1;
}

static int check(const struct devserve_host *host, void *self)
{
	static const struct {
		int heads, sequence;
	} shapes[] = { { 1, 1 }, { 2, 31 }, { 1, 64 }, { 3, 65 }, { 1, 200 } };
	int r = 0;

	(void)self;
	for (size_t i = 0; i < 2 * sizeof(shapes) / sizeof(*shapes) && r == 0; i++)
		r = check_heads(host, shapes[i / 2].heads, shapes[i / 2].sequence, i % 2);
	return r;
}

DEVSERVE_CUDA(.host_inputs = 1 << 3)
DEVSERVE_CHECK(check)
DEVSERVE_REFERENCE(reference)
DEVSERVE_WORK(work)

DEVSERVE_DEPLOYMENT(
	.description = "Attention of each head of 64 values, on the GPU.",
	.inputs = DEVSERVE_TENSORS({ "QUERY", DEVSERVE_FP32, { -1, -1, DEPTH } }, { "KEY", DEVSERVE_FP32, { -1, -1, DEPTH } },
				   { "VALUE", DEVSERVE_FP32, { -1, -1, DEPTH } }, { "CAUSAL", DEVSERVE_BOOL, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "OUTPUT", DEVSERVE_FP32, { -1, -1, DEPTH } }),
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION, DEVSERVE_CHECK_EXTENSION, DEVSERVE_REFERENCE_EXTENSION,
			DEVSERVE_WORK_EXTENSION },
)
