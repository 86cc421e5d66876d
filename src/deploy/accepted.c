/* SPDX-License-Identifier: MIT */

/*
 * Accepted
 *
 * What a new image answers to golden cases, where that is meant to be expected from then on, is written in
 * its trial beside the files whose place it is to take (ring/proof.h). It takes it when the image serves:
 * a swap may still fail, and what is expected then is what goes on serving. What a server left that
 * ended in between is removed before the next is written.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "golden/cases.h"

/* "Y.npy" of ".Y.npy.accepted"; free(). NULL: it is another file. */
static char *place_of(const char *name)
{
	size_t size = strlen(name), suffix = strlen(PROOF_ACCEPTED_SUFFIX);

	if (name[0] != '.' || size <= suffix + 1 || strcmp(name + size - suffix, PROOF_ACCEPTED_SUFFIX) != 0)
		return NULL;
	return xstrndup(name + 1, size - suffix - 1);
}

/* Whether it took its place. */
static bool settle(const char *directory, const char *name, bool serves, struct buffer *why)
{
	bool taken = false;

	_cleanup_free_ char *place = place_of(name);
	_cleanup_free_ char *from = path_join(directory, name), *to = place ? path_join(directory, place) : NULL;

	if (!place)
		return false;
	if (serves) {
		taken = rename(from, to) == 0;
		if (!taken && !why->size)
			buffer_printf(why, "what was accepted can't be written to %s: %s; the next save is held against "
					   "what it says now", to, strerror(errno));
	}
	if (!taken)
		unlink(from);
	return taken;
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

static void settle_case(const struct golden_cases *g, const struct golden_case *c, bool serves, struct buffer *why)
{
	_cleanup_free_ char *directory = xasprintf("%s/%s/" GOLDEN_OUT, g->path, c->name);
	DIR *d = opendir(directory);
	bool taken = false;
	struct dirent *e;

	while (d && (e = readdir(d)))
		taken |= settle(directory, e->d_name, serves, why);
	if (d)
		closedir(d);
	if (taken && golden_case_has_other_weights(g, c))
		name_weights(g, c);
}

void accepted_settle(const struct golden_cases *g, bool serves, struct buffer *why)
{
	for (size_t i = 0; g && i < g->n; i++)
		settle_case(g, &g->cases[i], serves, why);
}
