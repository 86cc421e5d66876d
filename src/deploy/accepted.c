/* SPDX-License-Identifier: MIT */

/*
 * Accepted
 *
 * What a new image answers to golden cases, where that is meant to be expected from then on, is written in
 * its trial (ring/proof.h) and takes its place when the image serves: a swap may still fail, and what is
 * expected then is what goes on serving. Until then it lies among our own files and not beside those whose
 * place it is to take: a worker that is killed while it writes, or a server, would leave it in the plugin's sources.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "golden/cases.h"

void accepted_open(const char *directory, const struct golden_cases *g)
{
	for (size_t i = 0; g && i < g->n; i++) {
		_cleanup_free_ char *place = path_join(directory, g->cases[i].name);

		file_make_directories(place); /* else the worker says that it can't write there */
	}
}

char *accepted_close(char *directory)
{
	if (directory)
		file_remove_tree(directory);
	free(directory);
	return NULL;
}

/* From one file system to the other. */
static int move_far(const char *from, const char *to)
{
	_cleanup_buffer_ struct buffer bytes = BUFFER_NULL;
	int r = file_read(from, &bytes);

	return r < 0 ? r : file_write(to, bytes.data, bytes.size, 0644);
}

static int move(const char *from, const char *to)
{
	if (rename(from, to) == 0)
		return 0;
	return errno == EXDEV ? move_far(from, to) : -errno;
}

/* Whether it took its place. */
static bool take(const char *from, const char *to, struct buffer *why)
{
	int r = move(from, to);

	if (r < 0 && !why->size)
		buffer_printf(why, "what was accepted can't be written to %s: %s; the next save is held against "
				   "what it says now", to, strerror(-r));
	return r == 0;
}

/* The weights that it names are those that it is answered with now; the rest is its author's. */
static void name_weights(const struct golden_cases *g, const struct golden_case *c)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/case.json", g->path, c->name);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	char *at = file_read(path, &text) == 0 ? strstr(buffer_text(&text), c->weights) : NULL;

	if (!at)
		return;
	memcpy(at, g->weights, strlen(g->weights)); /* as long as the other */
	file_write(path, text.data, text.size, 0644);
}

static void take_case(const char *directory, const struct golden_cases *g, const struct golden_case *c, struct buffer *why)
{
	_cleanup_free_ char *answers = path_join(directory, c->name);
	DIR *d = opendir(answers);
	bool taken = false;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_free_ char *from = path_join(answers, e->d_name);
		_cleanup_free_ char *to = xasprintf("%s/%s/" GOLDEN_OUT "/%s", g->path, c->name, e->d_name);

		if (strcmp(path_suffix(e->d_name), ".npy") == 0) /* else a worker was killed while it wrote it */
			taken |= take(from, to, why);
	}
	if (d)
		closedir(d);
	if (taken && golden_case_has_other_weights(g, c))
		name_weights(g, c);
}

void accepted_take(const char *directory, const struct golden_cases *g, struct buffer *why)
{
	for (size_t i = 0; g && i < g->n; i++)
		take_case(directory, g, &g->cases[i], why);
}
