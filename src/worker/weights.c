/* SPDX-License-Identifier: MIT */

/*
 * A snapshot is mapped once as long as any image uses it: a new generation of code finds its
 * pages where they are. They are read in before create(), 16 MB at a time: on this thread
 * nobody waits for them, and a fault of infer() never waits long for the memory map's lock.
 */

#include "worker/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <devserve/ext/weights.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "ring/weights_index.h"
#include "worker/host.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define READ_AT_ONCE (UINT64_C(16) << 20)

struct mapping {
	LIST_ENTRY(mapping) entry;
	char *path;
	char *base; /* NULL where the file is empty */
	uint64_t size;
	unsigned users;
};

struct weights {
	struct buffer index;
	const struct weights_index_head *head; /* these point into it */
	const struct weights_index_file *files;
	const struct weights_index_tensor *indexed;
	const char *text;
	struct mapping **mappings; /* one a file; NULL: not mapped yet */
	struct devserve_tensor *tensors;
};

static LIST_HEAD(, mapping) mappings = LIST_HEAD_INITIALIZER(mappings);
static const struct weights *offered;

/* Mappings */

static void read_in(char *base, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += READ_AT_ONCE)
		if (madvise(base + at, size - at < READ_AT_ONCE ? size - at : READ_AT_ONCE,
			    MADV_POPULATE_READ) < 0)
			return; /* an old kernel: pages come as they are asked for */
}

/* Of exactly @size bytes, else -ESTALE. */
static int map(const char *path, uint64_t size, char **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = NULL;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if ((uint64_t)st.st_size != size)
		r = -ESTALE;
	else if (size && (p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
		r = -errno;
	close(fd);
	if (r == 0) {
		read_in(p, size);
		*ret = p;
	}
	return r;
}

static int mapping_get(const char *path, uint64_t size, struct mapping **ret)
{
	struct mapping *m;
	char *base = NULL;
	int r;

	LIST_FOREACH(m, &mappings, entry) {
		if (strcmp(m->path, path) == 0 && m->size == size) {
			m->users++;
			*ret = m;
			return 0;
		}
	}
	r = map(path, size, &base);
	if (r < 0)
		return r;
	m = xcalloc(1, sizeof(*m));
	*m = (struct mapping){ .path = xstrdup(path), .base = base, .size = size, .users = 1 };
	LIST_INSERT_HEAD(&mappings, m, entry);
	*ret = m;
	return 0;
}

static void mapping_put(struct mapping *m)
{
	if (--m->users)
		return;
	if (m->base)
		munmap(m->base, m->size);
	LIST_REMOVE(m, entry);
	free(m->path);
	free(m);
}

/* The index */

static bool is_text(const struct weights *w, uint64_t offset)
{
	return offset < w->head->text_size;
}

static bool tensor_is_good(const struct weights *w, const struct weights_index_tensor *t)
{
	uint64_t file_size;

	if (t->file >= w->head->n_files || !is_text(w, t->name) || t->rank > DEVSERVE_MAX_RANK)
		return false;
	file_size = w->files[t->file].size;
	return t->size <= file_size && t->offset <= file_size - t->size;
}

static bool read_head(struct weights *w)
{
	const struct weights_index_head *head = (const void *)w->index.data;
	uint64_t tables;

	if (w->index.size < sizeof(*head) || head->magic != WEIGHTS_INDEX_MAGIC ||
	    head->version != WEIGHTS_INDEX_VERSION || head->size != w->index.size)
		return false;
	tables = sizeof(*head) + head->n_files * sizeof(*w->files) + head->n_tensors * sizeof(*w->indexed);
	if (tables > head->size || head->text_size != head->size - tables || !head->text_size)
		return false;
	w->head = head;
	w->files = (const void *)(head + 1);
	w->indexed = (const void *)(w->files + head->n_files);
	w->text = (const char *)(w->indexed + head->n_tensors);
	return w->text[head->text_size - 1] == '\0';
}

static bool read_index(struct weights *w)
{
	if (!read_head(w))
		return false;
	for (uint32_t i = 0; i < w->head->n_files; i++)
		if (!is_text(w, w->files[i].path) || !is_text(w, w->files[i].name))
			return false;
	for (uint32_t i = 0; i < w->head->n_tensors; i++)
		if (!tensor_is_good(w, &w->indexed[i]))
			return false;
	return true;
}

static int map_files(struct weights *w, char *sentence, size_t size)
{
	w->mappings = xcalloc(w->head->n_files + 1, sizeof(struct mapping *));
	for (uint32_t i = 0; i < w->head->n_files; i++) {
		const struct weights_index_file *f = &w->files[i];
		int r = mapping_get(w->text + f->path, f->size, &w->mappings[i]);

		if (r < 0) {
			snprintf(sentence, size, "cannot map %s, our copy of %s: %s", w->text + f->path,
				 w->text + f->name, strerror(-r));
			return -r;
		}
	}
	return 0;
}

static void view_tensors(struct weights *w)
{
	w->tensors = xcalloc(w->head->n_tensors + 1, sizeof(*w->tensors));
	for (uint32_t i = 0; i < w->head->n_tensors; i++) {
		const struct weights_index_tensor *t = &w->indexed[i];

		w->tensors[i] = (struct devserve_tensor){
			.name = w->text + t->name,
			.data = w->mappings[t->file]->base ? w->mappings[t->file]->base + t->offset : NULL,
			.shape = t->shape,
			.size = t->size,
			.rank = t->rank,
			.dtype = t->dtype,
			.device = 1,
		};
	}
}

int weights_open(const char *path, struct weights **ret, char *sentence, size_t size)
{
	struct weights *w;
	int r;

	if (!path[0]) {
		*ret = NULL;
		return 0;
	}
	w = xcalloc(1, sizeof(*w));
	r = -file_read(path, &w->index);
	if (r == 0 && !read_index(w))
		r = EBADMSG;
	if (r)
		snprintf(sentence, size, "cannot read the weights' index %s: %s", path, strerror(r));
	if (r == 0)
		r = map_files(w, sentence, size);
	if (r) {
		weights_close(w);
		return r;
	}
	view_tensors(w);
	*ret = w;
	return 0;
}

struct weights *weights_close(struct weights *w)
{
	if (!w)
		return NULL;
	for (uint32_t i = 0; w->mappings && i < w->head->n_files; i++)
		if (w->mappings[i])
			mapping_put(w->mappings[i]);
	free(w->mappings);
	free(w->tensors);
	buffer_fini(&w->index);
	free(w);
	return NULL;
}

void weights_offer(struct weights *w)
{
	offered = w;
}

/* Finding */

static const char *file_name(const struct weights *w, uint32_t tensor)
{
	return w->text + w->files[w->indexed[tensor].file].name;
}

/* "model/fc1.weight" for "fc1.weight" of "model.safetensors". */
static bool is_called(const struct weights *w, uint32_t i, const char *name)
{
	const char *file = file_name(w, i), *own = w->tensors[i].name;
	size_t stem = strlen(file) - strlen(path_suffix(file));

	if (strcmp(own, name) == 0)
		return true;
	return strncmp(file, name, stem) == 0 && name[stem] == '/' && strcmp(own, name + stem + 1) == 0;
}

/* The next one of that name from number @from on; n_tensors: none. */
static uint32_t find_from(const struct weights *w, const char *name, uint32_t from)
{
	while (from < w->head->n_tensors && !is_called(w, from, name))
		from++;
	return from;
}

static const struct devserve_tensor *host_at(const struct devserve_host *host, uint32_t index)
{
	(void)host;
	return offered && index < offered->head->n_tensors ? &offered->tensors[index] : NULL;
}

static const struct devserve_tensor *host_find(const struct devserve_host *host, const char *name)
{
	return offered ? host_at(host, find_from(offered, name, 0)) : NULL;
}

/* Refusing */

static void say(const struct buffer *sentence)
{
	devserve_log(host_table(), DEVSERVE_ERROR, "%s", buffer_text(sentence));
}

static void list_names(const struct weights *w, struct buffer *b)
{
	uint32_t n = w->head->n_tensors, i;

	for (i = 0; i < n && b->size < 300; i++)
		buffer_printf(b, "%s%s", i ? ", " : "", w->tensors[i].name);
	if (i < n)
		buffer_printf(b, " and %u more", n - i);
	if (!n)
		buffer_puts(b, "none");
}

static void say_missing(const struct weights *w, const char *name)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	for (uint32_t i = 0; w && i < w->head->n_files; i++)
		buffer_printf(&b, "%s%s", i ? ", " : "", w->text + w->files[i].name);
	if (!b.size) {
		buffer_printf(&b, "there is no weight \"%s\": no *.safetensors file lies beside the sources", name);
	} else {
		buffer_printf(&b, " %s no \"%s\"; %s", w->head->n_files > 1 ? "have" : "has", name,
			      w->head->n_files > 1 ? "they have " : "it has ");
		list_names(w, &b);
	}
	say(&b);
}

static void say_ambiguous(const struct weights *w, const char *name, uint32_t first, uint32_t second)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	const char *file = file_name(w, first);

	buffer_printf(&b, "\"%s\" is in %s and in %s; write \"%.*s/%s\" for the first", name, file,
		      file_name(w, second), (int)(strlen(file) - strlen(path_suffix(file))), file,
		      w->tensors[first].name);
	say(&b);
}

static void put_shape(struct buffer *b, uint32_t dtype, const int64_t *shape, uint32_t rank)
{
	static const char *const names[] = {
		[DEVSERVE_BOOL] = "BOOL",     [DEVSERVE_UINT8] = "UINT8",   [DEVSERVE_UINT16] = "UINT16",
		[DEVSERVE_UINT32] = "UINT32", [DEVSERVE_UINT64] = "UINT64", [DEVSERVE_INT8] = "INT8",
		[DEVSERVE_INT16] = "INT16",   [DEVSERVE_INT32] = "INT32",   [DEVSERVE_INT64] = "INT64",
		[DEVSERVE_FP16] = "FP16",     [DEVSERVE_FP32] = "FP32",     [DEVSERVE_FP64] = "FP64",
		[DEVSERVE_BYTES] = "BYTES",   [DEVSERVE_BF16] = "BF16",
	};

	buffer_printf(b, "%s[", dtype < ARRAY_SIZE(names) && names[dtype] ? names[dtype] : "?");
	for (uint32_t i = 0; i < rank && i < DEVSERVE_MAX_RANK; i++)
		buffer_printf(b, "%s%lld", i ? "," : "", (long long)shape[i]);
	buffer_putc(b, ']');
}

static bool fits(const struct devserve_tensor *t, uint32_t dtype, const int64_t *shape, uint32_t rank)
{
	if (t->dtype != dtype || t->rank != rank)
		return false;
	for (uint32_t i = 0; i < rank; i++)
		if (shape[i] != -1 && shape[i] != t->shape[i])
			return false;
	return true;
}

static void say_other(const struct weights *w, uint32_t i, uint32_t dtype, const int64_t *shape, uint32_t rank)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	const struct devserve_tensor *t = &w->tensors[i];

	buffer_printf(&b, "\"%s\" in %s is ", t->name, file_name(w, i));
	put_shape(&b, t->dtype, t->shape, t->rank);
	buffer_puts(&b, ", wanted ");
	put_shape(&b, dtype, shape, rank);
	say(&b);
}

static const void *host_get(const struct devserve_host *host, const char *name, uint32_t dtype,
			    const int64_t *shape, uint32_t rank)
{
	const struct weights *w = offered;
	uint32_t n = w ? w->head->n_tensors : 0, i = w ? find_from(w, name, 0) : 0, other;

	if (i == n) {
		say_missing(w, name);
		return NULL;
	}
	other = find_from(w, name, i + 1);
	if (other < n) {
		say_ambiguous(w, name, i, other);
		return NULL;
	}
	if (!fits(&w->tensors[i], dtype, shape, rank)) {
		say_other(w, i, dtype, shape, rank);
		return NULL;
	}
	return host_at(host, i)->data;
}

const void *weights_extension(void)
{
	static const struct devserve_weights_extension table = {
		.extension = { DEVSERVE_WEIGHTS_ID, sizeof(struct devserve_weights_extension), 0 },
		.at = host_at,
		.find = host_find,
		.get = host_get,
	};

	return &table;
}
