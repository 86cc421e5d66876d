/* SPDX-License-Identifier: MIT */
#include "worker/reference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <devserve/ext/reference.h>

#include "compare/numbers.h"
#include "infer/tensor.h"
#include "ring/recording.h"
#include "worker/host.h"
#include "worker/image.h"
#include "worker/threads.h"

struct view {
	struct devserve_host host;
	struct devserve_tensor in[DEVSERVE_MAX_TENSORS], out[DEVSERVE_MAX_TENSORS];
	struct devserve_call call;
};

/* The shapes are settled. */
static void *no_output(const struct devserve_call *call, uint32_t index, const int64_t *shape, uint32_t rank)
{
	(void)shape, (void)rank;
	return index < call->n_out ? call->out[index].data : NULL;
}

static int no_append(const struct devserve_call *call, uint32_t index, const void *bytes, size_t size)
{
	(void)call, (void)index, (void)bytes, (void)size;
	return 0;
}

static int no_sentence(const struct devserve_call *call, int error, const char *format, ...)
{
	(void)call, (void)format;
	return error > 0 ? -error : error;
}

static struct devserve_tensor tensor_of(const struct call_tensor *t, const char *name)
{
	return (struct devserve_tensor){ .name = name, .shape = t->shape, .rank = t->rank, .dtype = t->dtype,
					 .device = 1 };
}

/* 0 or -ENOMEM. */
static int view_outputs(struct view *v, const struct image *image, const struct call *call, struct reference *ret)
{
	for (uint32_t i = 0; i < call->n_out; i++) {
		const struct call_tensor *t = &call->tensors[call->n_in + i];
		int64_t n = tensor_elements(t->shape, t->rank);

		v->out[i] = tensor_of(t, image->entry->outputs[i].name);
		if (!numbers_are_floats(t->dtype) || n < 0)
			continue;
		ret->outputs[i] = calloc((size_t)n + 1, sizeof(double));
		if (!ret->outputs[i])
			return -ENOMEM;
		v->out[i].dtype = DEVSERVE_FP64;
		v->out[i].data = ret->outputs[i];
		v->out[i].size = (uint64_t)n * sizeof(double);
	}
	return 0;
}

static void view_inputs(struct view *v, const struct image *image, const struct recording *rec, const char *base)
{
	for (uint32_t i = 0; i < rec->n_in; i++) {
		v->in[i] = tensor_of(&rec->tensors[i], image->entry->inputs[i].name);
		v->in[i].data = (void *)(base + rec->tensors[i].offset);
		v->in[i].size = rec->tensors[i].size;
	}
}

static void view_call(struct view *v, const struct image *image, const struct recording *rec, const struct call *call)
{
	v->host = *host_table();
	v->host.output = no_output;
	v->host.append = no_append;
	v->host.fail = no_sentence;
	v->call = (struct devserve_call){ .struct_size = sizeof(v->call), .n_in = rec->n_in, .n_out = call->n_out,
					  .batch = rec->batch, .in = v->in, .out = v->out, .self = image->self,
					  .host = &v->host };
}

int reference_compute(const struct image *image, const struct recording *rec, const char *base,
		      const struct call *call, struct reference *ret)
{
	const struct devserve_reference_extension *e =
		(const struct devserve_reference_extension *)image_extension(image, DEVSERVE_REFERENCE_ID);
	struct view v;
	int r;

	*ret = (struct reference){ .outputs = { NULL } };
	if (!e)
		return -ENOENT;
	view_call(&v, image, rec, call);
	view_inputs(&v, image, rec, base);
	r = view_outputs(&v, image, call, ret);
	threads_enter(image->threads);
	if (r == 0)
		r = e->reference(&v.call);
	threads_enter(NULL);
	if (r == 0)
		return 0;
	reference_fini(ret);
	return -ENOENT;
}

void reference_fini(struct reference *r)
{
	for (unsigned i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		free(r->outputs[i]);
	*r = (struct reference){ .outputs = { NULL } };
}
