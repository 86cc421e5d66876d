/* SPDX-License-Identifier: MIT */
#include "weights/index.h"

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "ring/weights_index.h"
#include "weights/header.h"

struct writer {
	struct buffer files, tensors, text;
};

static uint64_t put_text(struct writer *w, const char *s)
{
	uint64_t at = w->text.size;

	buffer_append(&w->text, s, strlen(s) + 1);
	return at;
}

static void put_tensor(struct writer *w, uint32_t file, const struct header_tensor *t)
{
	struct weights_index_tensor out = {
		.name = put_text(w, t->name),
		.offset = t->offset,
		.size = t->size,
		.file = file,
		.dtype = t->dtype,
		.rank = t->rank,
	};

	memcpy(out.shape, t->shape, sizeof(out.shape));
	buffer_append(&w->tensors, &out, sizeof(out));
}

static void put_file(struct writer *w, uint32_t number, const struct index_source *s)
{
	const struct weights_index_file out = {
		.path = put_text(w, s->snapshot),
		.name = put_text(w, s->name),
		.size = s->size,
	};

	buffer_append(&w->files, &out, sizeof(out));
	for (size_t i = 0; i < s->header->n; i++)
		put_tensor(w, number, &s->header->tensors[i]);
}

int index_write(const char *path, const struct index_source *sources, size_t n)
{
	struct writer w = { .files = BUFFER_NULL, .tensors = BUFFER_NULL, .text = BUFFER_NULL };
	struct weights_index_head head = {
		.magic = WEIGHTS_INDEX_MAGIC,
		.version = WEIGHTS_INDEX_VERSION,
		.n_files = (uint32_t)n,
	};
	_cleanup_buffer_ struct buffer whole = BUFFER_NULL;

	for (size_t i = 0; i < n; i++)
		put_file(&w, (uint32_t)i, &sources[i]);
	head.n_tensors = (uint32_t)(w.tensors.size / sizeof(struct weights_index_tensor));
	head.text_size = w.text.size;
	head.size = sizeof(head) + w.files.size + w.tensors.size + w.text.size;
	buffer_append(&whole, &head, sizeof(head));
	buffer_append(&whole, w.files.data, w.files.size);
	buffer_append(&whole, buffer_text(&w.tensors), w.tensors.size); /* NULL where there is none */
	buffer_append(&whole, w.text.data, w.text.size);
	buffer_fini(&w.files);
	buffer_fini(&w.tensors);
	buffer_fini(&w.text);
	return file_write(path, whole.data, whole.size, 0444);
}
