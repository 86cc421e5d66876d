/* SPDX-License-Identifier: MIT */

/*
 * A perceptron of two layers, as somebody would write one who has cblas: normalise the row,
 * one hidden layer with GELU, a softmax over the classes. bench/run saves it again and again
 * with another TEMPERATURE, and gcc compiles the same file beside it.
 */

#include <devserve/deployment.h>

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEMPERATURE 1.0f /* each save changes this */

enum { FEATURES = 64, HIDDEN = 128, CLASSES = 16, MAX_BATCH = 32 };

/* Row-major with the inputs first, [k][n]: OpenBLAS then needs no transposed copy. */
struct layer {
	int inputs, outputs;
	float *weights; /* [inputs][outputs] */
	float *bias;    /* [outputs] */
};

struct model {
	struct layer hidden, last;
	float *gain;      /* [FEATURES] */
	float *row;       /* [MAX_BATCH][FEATURES] */
	float *activated; /* [MAX_BATCH][HIDDEN] */
};

static float next_weight(uint32_t *seed, float scale)
{
	*seed = *seed * 1664525u + 1013904223u;
	return ((float)(*seed >> 8) / (float)(1u << 24) - 0.5f) * scale;
}

static int make_layer(struct layer *l, int inputs, int outputs, uint32_t seed)
{
	size_t n = (size_t)inputs * (size_t)outputs;
	float scale = 2.0f / sqrtf((float)inputs);

	l->inputs = inputs;
	l->outputs = outputs;
	l->weights = malloc(n * sizeof(float));
	l->bias = malloc((size_t)outputs * sizeof(float));
	if (!l->weights || !l->bias)
		return -12;
	for (size_t i = 0; i < n; i++)
		l->weights[i] = next_weight(&seed, scale);
	for (int i = 0; i < outputs; i++)
		l->bias[i] = next_weight(&seed, 0.1f);
	return 0;
}

/* y[rows][outputs] = x[rows][inputs] * weights + bias */
static void apply_layer(const struct layer *l, const float *x, float *y, int rows)
{
	for (int i = 0; i < rows; i++)
		memcpy(y + (size_t)i * (size_t)l->outputs, l->bias,
		       (size_t)l->outputs * sizeof(float));
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, l->outputs, l->inputs, 1.0f, x,
		    l->inputs, l->weights, l->outputs, 1.0f, y, l->outputs);
}

/* Mean 0 and variance 1, then the gain. */
static void normalise(const float *x, const float *gain, float *y)
{
	float mean = 0, variance = 0, scale;

	for (int i = 0; i < FEATURES; i++)
		mean += x[i] / FEATURES;
	for (int i = 0; i < FEATURES; i++)
		variance += (x[i] - mean) * (x[i] - mean) / FEATURES;
	scale = 1.0f / sqrtf(variance + 1e-5f);
	for (int i = 0; i < FEATURES; i++)
		y[i] = (x[i] - mean) * scale * gain[i];
}

/* GELU in the approximation by tanh. */
static void activate(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float cubic = x[i] + 0.044715f * x[i] * x[i] * x[i];

		x[i] = 0.5f * x[i] * (1.0f + tanhf(0.7978845608f * cubic));
	}
}

static void softmax(float *x)
{
	float top = x[0], sum = 0;

	for (int i = 1; i < CLASSES; i++)
		top = x[i] > top ? x[i] : top;
	for (int i = 0; i < CLASSES; i++)
		sum += x[i] = expf((x[i] - top) / TEMPERATURE);
	cblas_sscal(CLASSES, 1.0f / sum, x, 1);
}

static void destroy(void *self)
{
	struct model *m = self;
	float *parts[] = { m->hidden.weights, m->hidden.bias, m->last.weights, m->last.bias,
			   m->gain, m->row, m->activated };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		free(parts[i]);
	free(m);
}

static int create(const struct devserve_host *host, void **self)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return -12;
	m->gain = malloc(FEATURES * sizeof(float));
	m->row = malloc(MAX_BATCH * FEATURES * sizeof(float));
	m->activated = malloc(MAX_BATCH * HIDDEN * sizeof(float));
	if (!m->gain || !m->row || !m->activated || make_layer(&m->hidden, FEATURES, HIDDEN, 1) < 0 ||
	    make_layer(&m->last, HIDDEN, CLASSES, 2) < 0) {
		destroy(m);
		return -12;
	}
	for (int i = 0; i < FEATURES; i++)
		m->gain[i] = 1.0f + 0.01f * (float)i;
	devserve_log(host, DEVSERVE_DEBUG, "temperature %g", (double)TEMPERATURE);
	*self = m;
	return 0;
}

static int infer(const struct devserve_call *call)
{
	struct model *m = call->self;
	const float *x = call->in[0].data;
	float *y = call->out[0].data;
	int rows = (int)call->batch;

	for (int i = 0; i < rows; i++)
		normalise(x + i * FEATURES, m->gain, m->row + i * FEATURES);
	apply_layer(&m->hidden, m->row, m->activated, rows);
	activate(m->activated, (size_t)rows * HIDDEN);
	apply_layer(&m->last, m->activated, y, rows);
	for (int i = 0; i < rows; i++)
		softmax(y + i * CLASSES);
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "A perceptron of two layers over 64 features.",
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { FEATURES } }),
	.outputs = DEVSERVE_TENSORS({ "P", DEVSERVE_FP32, { CLASSES } }),
	.max_batch_size = MAX_BATCH,
	.create = create,
	.destroy = destroy,
	.infer = infer,
)
