/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files
 *
 * Which files are a plugin's weights.
 */

#include <stddef.h>

struct weights_file {
	char *path; /* absolute */
	char *name; /* for people, and its stem for the plugin: "model.safetensors", "sub/b.safetensors" */
};

struct weights_files {
	struct weights_file *at; /* in order of names */
	size_t n;
};

#define WEIGHTS_FILES_NULL { .at = NULL }

/* Those in @paths, which ends with NULL (relative ones: to @plugin). None is fine. */
void weights_files_find(const char *plugin, char *const *paths, struct weights_files *ret);
void weights_files_fini(struct weights_files *f);
