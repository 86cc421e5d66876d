/* SPDX-License-Identifier: MIT */
#include "worker/golden.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <devserve/deployment.h>

#include "array/array.h"
#include "array/case.h"
#include "array/npy.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "worker/image.h"
#include "worker/rehearsal.h"

#define ALIGN UINT64_C(64)

/* The tensors of a case: inputs, then outputs; what has no file has no data. */
struct files {
	uint32_t n_in, n_out;
	struct array all[2 * DEVSERVE_MAX_TENSORS];
};

/* Inputs are renamed more often than files are lost. */
static void put_missing(const char *directory, const char *side, const char *name, struct buffer *why)
{
	_cleanup_free_ char *path = case_path(directory, side, name);

	buffer_printf(why, "there is no %s; if the input was called otherwise, rename its file so, else remove the case "
		      "and make another (devserve record)", path);
}

/* 0; 1 with a sentence. */
static int read_file(const char *directory, const char *side, const struct devserve_port *port, bool required,
		     struct array *ret, struct buffer *why)
{
	int r;

	*ret = (struct array){ .name = xstrdup(port->name) };
	r = case_read(directory, side, port->dtype, ret, why);
	if (r == -ENOENT) {
		buffer_reset(why);
		if (!required)
			return 0;
		put_missing(directory, side, port->name, why);
	}
	return r == 0 ? 0 : 1;
}

static void files_fini(struct files *f)
{
	for (uint32_t i = 0; i < f->n_in + f->n_out; i++)
		array_fini(&f->all[i]);
}

static int read_files(const char *directory, const struct image *image, struct files *f, struct buffer *why)
{
	const struct devserve_deployment *e = image->entry;
	int r = 0;

	for (; f->n_in < image->n_in && r == 0; f->n_in++)
		r = read_file(directory, CASE_IN, &e->inputs[f->n_in], true, &f->all[f->n_in], why);
	for (; f->n_out < image->n_out && r == 0; f->n_out++)
		r = read_file(directory, CASE_OUT, &e->outputs[f->n_out], false, &f->all[f->n_in + f->n_out], why);
	return r;
}

static uint64_t aligned(uint64_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t head_size(const struct files *f)
{
	return aligned(sizeof(struct recording) + (f->n_in + f->n_out) * sizeof(struct call_tensor));
}

static void place(const struct files *f, char *base, uint32_t *ret_expected)
{
	struct recording *rec = (struct recording *)base;
	uint64_t at = head_size(f);

	*rec = (struct recording){ .batch = 1, .n_in = f->n_in, .n_out = f->n_out };
	for (uint32_t i = 0; i < f->n_in + f->n_out; i++) {
		const struct array *a = &f->all[i];

		if (!a->data)
			continue;
		rec->tensors[i] = (struct call_tensor){ .offset = at, .size = a->size, .rank = a->rank, .dtype = a->dtype };
		memcpy(rec->tensors[i].shape, a->shape, sizeof(a->shape));
		memcpy(base + at, a->data, a->size);
		at += aligned(a->size + 1);
		if (i >= f->n_in)
			*ret_expected |= UINT32_C(1) << (i - f->n_in);
	}
}

/* 0 or 1. */
static int pack(const struct files *f, const struct image *image, struct golden *ret)
{
	uint64_t size = head_size(f);
	char *base;

	for (uint32_t i = 0; i < f->n_in + f->n_out; i++)
		size += aligned(f->all[i].size + 1);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return 1;
	*ret = (struct golden){ .base = base, .size = size, .recording = (const struct recording *)base };
	place(f, base, &ret->expected);
	if (image->entry->max_batch_size && f->n_in && f->all[0].rank)
		((struct recording *)base)->batch = (uint32_t)f->all[0].shape[0];
	mprotect(base, size, PROT_READ);
	return 0;
}

int golden_load(const char *directory, const struct image *image, struct golden *ret, char *sentence, size_t size)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct files *f = xcalloc(1, sizeof(*f));
	int r = read_files(directory, image, f, &why);

	if (r == 0) {
		r = pack(f, image, ret);
		if (r != 0)
			buffer_printf(&why, "no memory for %s", directory);
	}
	if (r != 0)
		snprintf(sentence, size, "%s", buffer_text(&why));
	files_fini(f);
	free(f);
	return r;
}

void golden_fini(struct golden *g)
{
	if (g->base)
		munmap((void *)g->base, g->size);
	*g = (struct golden){ .base = NULL };
}

static int write_output(const char *directory, const char *name, const struct call_tensor *t, const void *data,
			struct buffer *why)
{
	_cleanup_free_ char *place = case_path("", CASE_OUT, name);
	_cleanup_free_ char *path = path_join(directory, path_name(place));
	_cleanup_buffer_ struct buffer file = BUFFER_NULL;
	struct array a = { .dtype = t->dtype, .rank = t->rank, .data = (unsigned char *)data, .size = t->size };
	int r;

	memcpy(a.shape, t->shape, sizeof(a.shape));
	r = npy_format(&a, &file, why);
	if (r == 0)
		r = file_write(path, file.data, file.size, 0644);
	if (r < 0 && !why->size)
		buffer_printf(why, "cannot write %s: %s", path, strerror(-r));
	return r;
}

int golden_accept(const char *directory, const struct image *image, const struct golden *g,
		  const struct rehearsal *r, char *sentence, size_t size)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	const struct call *call = rehearsal_call(r);
	int e = 0;

	for (uint32_t i = 0; i < image->n_out && e == 0; i++)
		if (g->expected >> i & 1)
			e = write_output(directory, image->entry->outputs[i].name, &call->tensors[call->n_in + i],
					 rehearsal_output(r, i), &why);
	if (e < 0)
		snprintf(sentence, size, "%s", buffer_text(&why));
	return e;
}
