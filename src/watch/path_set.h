/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Path set
 *
 * Each path once, whatever the order they come in.
 */

#include <stdbool.h>
#include <stddef.h>

struct path_set_slot {
	char *path; /* NULL: free */
	bool open;  /* for the set's user; false when added */
};

struct path_set {
	struct path_set_slot *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n_paths;
};

#define PATH_SET_NULL { .slots = NULL }

/* Forget all paths and the memory. */
void path_set_fini(struct path_set *set);

/* The place of @path, NULL if it isn't there. Valid until the next path_set_add(). */
struct path_set_slot *path_set_find(const struct path_set *set, const char *path);

/* The place of @path, which is there afterwards. */
struct path_set_slot *path_set_add(struct path_set *set, const char *path);

/* All of them in strcmp() order; free() the array, the paths stay the set's. NULL if empty. */
const char **path_set_sorted(const struct path_set *set);
