/* SPDX-License-Identifier: MIT */
#include "history/entry.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static struct history_build *copy_build(const struct history_build *b)
{
	struct history_build *to = xcalloc(1, sizeof(*to));
	struct history_file *files = xcalloc(b->n_files + 1, sizeof(*files));

	*to = *b;
	to->compiler = copy(b->compiler);
	to->flags = copy(b->flags);
	to->image_path = copy(b->image_path);
	to->device_path = copy(b->device_path);
	for (size_t i = 0; i < b->n_files; i++)
		files[i] = (struct history_file){ .path = xstrdup(b->files[i].path),
						  .text = xstrndup(b->files[i].text, b->files[i].size),
						  .size = b->files[i].size,
						  .hash = b->files[i].hash };
	to->files = files;
	return to;
}

struct history_entry *entry_copy(const struct history_entry *e)
{
	struct history_entry *to = xcalloc(1, sizeof(*to));

	*to = *e;
	to->event = xstrdup(e->event);
	to->deployment = xstrdup(e->deployment);
	to->outcome = copy(e->outcome);
	to->reason = copy(e->reason);
	to->json = xstrdup(e->json);
	to->built = e->built ? copy_build(e->built) : NULL;
	return to;
}

static void free_text(const char *s)
{
	free((char *)(uintptr_t)s);
}

static void free_build(const struct history_build *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n_files; i++) {
		free_text(b->files[i].path);
		free_text(b->files[i].text);
	}
	free((void *)(uintptr_t)b->files);
	free_text(b->compiler);
	free_text(b->flags);
	free_text(b->image_path);
	free_text(b->device_path);
	free((void *)(uintptr_t)b);
}

struct history_entry *entry_free(struct history_entry *e)
{
	if (!e)
		return NULL;
	free_text(e->event);
	free_text(e->deployment);
	free_text(e->outcome);
	free_text(e->reason);
	free_text(e->json);
	free_build(e->built);
	free(e);
	return NULL;
}

size_t entry_size(const struct history_entry *e)
{
	size_t size = sizeof(*e) + strlen(e->json);

	for (size_t i = 0; e->built && i < e->built->n_files; i++)
		size += sizeof(*e->built->files) + e->built->files[i].size;
	return size;
}
