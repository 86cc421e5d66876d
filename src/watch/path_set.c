/* SPDX-License-Identifier: MIT */
#include "watch/path_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

#define FEWEST_SLOTS 64

void path_set_fini(struct path_set *set)
{
	for (size_t i = 0; i < set->n_slots; i++)
		free(set->slots[i].path);
	free(set->slots);
	*set = (struct path_set)PATH_SET_NULL;
}

/* Where @path is or belongs; there is always a free slot. */
static struct path_set_slot *place(const struct path_set *set, const char *path)
{
	size_t i = (size_t)hash_bytes(path, strlen(path)).low & (set->n_slots - 1);

	while (set->slots[i].path && strcmp(set->slots[i].path, path) != 0)
		i = (i + 1) & (set->n_slots - 1);
	return &set->slots[i];
}

struct path_set_slot *path_set_find(const struct path_set *set, const char *path)
{
	struct path_set_slot *slot = set->n_slots ? place(set, path) : NULL;

	return slot && slot->path ? slot : NULL;
}

static void grow(struct path_set *set)
{
	struct path_set_slot *old = set->slots;
	size_t n_old = set->n_slots;

	set->n_slots = n_old ? n_old * 2 : FEWEST_SLOTS;
	set->slots = xcalloc(set->n_slots, sizeof(*set->slots));
	for (size_t i = 0; i < n_old; i++)
		if (old[i].path)
			*place(set, old[i].path) = old[i];
	free(old);
}

struct path_set_slot *path_set_add(struct path_set *set, const char *path)
{
	struct path_set_slot *slot;

	if (set->n_paths * 2 >= set->n_slots)
		grow(set);
	slot = place(set, path);
	if (!slot->path) {
		slot->path = xstrdup(path);
		set->n_paths++;
	}
	return slot;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **path_set_sorted(const struct path_set *set)
{
	const char **sorted;
	size_t n = 0;

	if (!set->n_paths)
		return NULL;
	sorted = xmalloc(set->n_paths * sizeof(*sorted));
	for (size_t i = 0; i < set->n_slots; i++)
		if (set->slots[i].path)
			sorted[n++] = set->slots[i].path;
	qsort(sorted, n, sizeof(*sorted), by_text);
	return sorted;
}
