/* SPDX-License-Identifier: MIT */

/*
 * Handwritten digits: a small trained network, 64 → 128 → 64 → 10. Its weights are in
 * model.safetensors, which train.py writes: train anew while this serves, and the next answer
 * is the new network's.
 */

#include <devserve/deployment.h>
#include <devserve/ext/weights.h>

enum { PIXELS = 64, HIDDEN1 = 128, HIDDEN2 = 64, DIGITS = 10 };

/* Stored by rows of inputs: weight[in][out]. */
static const float *weight1, *bias1, *weight2, *bias2, *weight3, *bias3;

static int create(const struct devserve_host *host, void **self)
{
	(void)self;
	weight1 = devserve_weight(host, "fc1.weight", DEVSERVE_FP32, PIXELS, HIDDEN1);
	bias1 = devserve_weight(host, "fc1.bias", DEVSERVE_FP32, HIDDEN1);
	weight2 = devserve_weight(host, "fc2.weight", DEVSERVE_FP32, HIDDEN1, HIDDEN2);
	bias2 = devserve_weight(host, "fc2.bias", DEVSERVE_FP32, HIDDEN2);
	weight3 = devserve_weight(host, "fc3.weight", DEVSERVE_FP32, HIDDEN2, DIGITS);
	bias3 = devserve_weight(host, "fc3.bias", DEVSERVE_FP32, DIGITS);
	return weight1 && bias1 && weight2 && bias2 && weight3 && bias3 ? 0 : -1;
}

/* y = x · weight + bias; the inner loop is SIMD. */
static void layer(const float *x, int n_in, const float *weight, const float *bias, float *restrict y, int n_out)
{
	for (int o = 0; o < n_out; o++)
		y[o] = bias[o];
	for (int i = 0; i < n_in; i++)
		for (int o = 0; o < n_out; o++)
			y[o] += x[i] * weight[i * n_out + o];
}

static void cut_off(float *x, int n)
{
	for (int i = 0; i < n; i++)
		x[i] = x[i] > 0 ? x[i] : 0;
}

/* Logits become probabilities; the most likely digit. */
static int decide(float *x)
{
	float sum = 0, largest;
	int best = 0;

	for (int i = 1; i < DIGITS; i++)
		best = x[i] > x[best] ? i : best;
	largest = x[best];
	for (int i = 0; i < DIGITS; i++)
		sum += x[i] = __builtin_expf(x[i] - largest);
	for (int i = 0; i < DIGITS; i++)
		x[i] /= sum;
	return best;
}

static int infer(const struct devserve_call *call)
{
	const float *image = call->in[0].data;
	int32_t *digit = call->out[0].data;
	float *probabilities = call->out[1].data;

	for (uint32_t b = 0; b < call->batch; b++, image += PIXELS, probabilities += DIGITS) {
		float x[PIXELS], h1[HIDDEN1], h2[HIDDEN2];

		for (int i = 0; i < PIXELS; i++)
			x[i] = image[i] / 16;
		layer(x, PIXELS, weight1, bias1, h1, HIDDEN1);
		cut_off(h1, HIDDEN1);
		layer(h1, HIDDEN1, weight2, bias2, h2, HIDDEN2);
		cut_off(h2, HIDDEN2);
		layer(h2, HIDDEN2, weight3, bias3, probabilities, DIGITS);
		digit[b] = decide(probabilities);
	}
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.description = "which digit an image of 8 by 8 shows; values 0 (paper) to 16 (ink)",
	.inputs = DEVSERVE_TENSORS({ "IMAGE", DEVSERVE_FP32, { PIXELS } }),
	.outputs = DEVSERVE_TENSORS({ "DIGIT", DEVSERVE_INT32, { 1 } },
				    { "PROBABILITIES", DEVSERVE_FP32, { DIGITS } }),
	.max_batch_size = 32,
	.create = create,
	.infer = infer,
)
