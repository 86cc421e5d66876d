/* SPDX-License-Identifier: MIT */
#include "serve/stamp.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

/* The first CPU's lines alone: there may be hundreds. */
static void describe_cpu(struct buffer *ret)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 1)
		if (strncmp(line, "model name", 10) == 0 || strncmp(line, "flags", 5) == 0 ||
		    strncmp(line, "Features", 8) == 0)
			buffer_puts(ret, line);
	free(line);
	if (f)
		fclose(f);
}

/* A hash, perhaps with a suffix: --state-dir may name a directory that is somebody else's as well. */
static bool is_stored(const char *name)
{
	size_t digits = strspn(name, "0123456789abcdef");

	return digits == HASH_TEXT_SIZE - 1 && (!name[digits] || name[digits] == '.');
}

static int empty(const char *directory, bool *ret_any)
{
	DIR *d = opendir(directory);
	struct dirent *e;
	int r = 0;

	while (d && r >= 0 && (e = readdir(d))) {
		_cleanup_free_ char *path = path_join(directory, e->d_name);

		if (!is_stored(e->d_name))
			continue;
		*ret_any = true;
		r = file_remove_tree(path);
	}
	if (d)
		closedir(d);
	return r;
}

static int forget(const char *state_dir, bool *ret_any)
{
	static const char *const parts[] = { "objects", "images", "manifests", "links", "sources", "toolchain",
					"kept", "loops", "layouts" };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(parts); i++) {
		_cleanup_free_ char *path = path_join(state_dir, parts[i]);

		r = empty(path, ret_any);
	}
	return r;
}

static void describe(struct buffer *ret)
{
	buffer_puts(ret, "devserve " DEVSERVE_VERSION "\n");
	describe_cpu(ret);
}

void stamp_keep(const char *state_dir)
{
	_cleanup_free_ char *path = path_join(state_dir, "stamp");
	_cleanup_buffer_ struct buffer ours = BUFFER_NULL;

	if (file_exists(path))
		return;
	describe(&ours);
	file_write(path, ours.data, ours.size, 0644);
}

int stamp_check(const char *state_dir, struct buffer *ret_sentence)
{
	_cleanup_free_ char *path = path_join(state_dir, "stamp");
	_cleanup_buffer_ struct buffer ours = BUFFER_NULL, there = BUFFER_NULL;
	bool any = false, stamped;
	int r;

	describe(&ours);
	stamped = file_read(path, &there) == 0;
	if (stamped && strcmp(buffer_text(&there), ours.data) == 0)
		return 0;
	r = forget(state_dir, &any);
	if (r >= 0)
		r = file_write(path, ours.data, ours.size, 0644);
	if (r < 0)
		return r;
	if (any && !stamped)
		buffer_printf(ret_sentence, "%s has lost its stamp, so that nobody knows who filled it: everything is "
			      "built again", state_dir);
	else if (any)
		buffer_printf(ret_sentence, "%s was filled by another version of devserve or on another CPU: "
			      "everything is built again", state_dir);
	return any;
}
