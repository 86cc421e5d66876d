/* SPDX-License-Identifier: MIT */
#include "serve/built.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "serve/plugin.h"

#define LONGEST (1 << 20)       /* of one file that is kept, in bytes */
#define LONGEST_TOTAL (4 << 20) /* of all: they are read while everybody waits */

struct built {
	struct history_build build; /* first */
	char *compiler, *flags, *image, *device;
	struct history_file *files;
	size_t total;
};

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

/* @hash NULL: as it is now. */
static void add_file(struct built *b, const struct plugin *p, const char *path, const struct hash *hash)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct stat st;
	struct hash now;
	size_t size;

	if (!path_is_below(path, p->plugins->root) || stat(path, &st) < 0 || st.st_size > LONGEST ||
	    b->total + (size_t)st.st_size > LONGEST_TOTAL || file_read(path, &text) < 0)
		return;
	now = hash_bytes(buffer_text(&text), text.size);
	if (hash && !hash_equal(now, *hash))
		return;
	size = text.size;
	b->total += size;
	b->files[b->build.n_files++] = (struct history_file){ .path = xstrdup(path + strlen(p->plugins->root) + 1),
							      .size = size, .hash = now,
							      .text = size ? buffer_steal(&text) : xstrdup("") };
}

struct history_build *built_new(const struct plugin *p, const struct build_result *result)
{
	_cleanup_buffer_ struct buffer compiler = BUFFER_NULL, flags = BUFFER_NULL;
	struct built *b = xcalloc(1, sizeof(*b));

	builder_describe(p->plugins->builder, &p->recipe, &compiler, &flags);
	b->compiler = buffer_steal(&compiler);
	b->flags = buffer_steal(&flags);
	b->image = copy(result->image);
	b->device = copy(result->device);
	b->files = xcalloc(result->n_files + 1, sizeof(*b->files));
	b->build = (struct history_build){ .image = result->image_hash, .device = result->device_hash,
					   .compiler = b->compiler, .flags = b->flags, .image_path = b->image,
					   .device_path = b->device, .files = b->files };
	for (size_t i = 0; i < result->n_files; i++)
		add_file(b, p, result->files[i].path, &result->files[i].hash);
	if (p->config.path) /* it is a source, too; read by us */
		add_file(b, p, p->config.path, NULL);
	return &b->build;
}

struct history_build *built_free(struct history_build *build)
{
	struct built *b = (struct built *)build;

	if (!b)
		return NULL;
	for (size_t i = 0; i < b->build.n_files; i++) {
		free((char *)(uintptr_t)b->files[i].path);
		free((char *)(uintptr_t)b->files[i].text);
	}
	free(b->files);
	free(b->compiler);
	free(b->flags);
	free(b->image);
	free(b->device);
	free(b);
	return NULL;
}
