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

static void settle(const char *directory, const char *name, bool serves, struct buffer *why)
{
	_cleanup_free_ char *place = place_of(name);
	_cleanup_free_ char *from = path_join(directory, name), *to = place ? path_join(directory, place) : NULL;

	if (!place)
		return;
	if (serves && rename(from, to) < 0 && !why->size)
		buffer_printf(why, "what was accepted can't be written to %s: %s; the next save is held against what it "
				   "says now", to, strerror(errno));
	unlink(from); /* if it is still there */
}

static void settle_case(const char *path, const char *name, bool serves, struct buffer *why)
{
	_cleanup_free_ char *directory = xasprintf("%s/%s/" GOLDEN_OUT, path, name);
	DIR *d = opendir(directory);
	struct dirent *e;

	while (d && (e = readdir(d)))
		settle(directory, e->d_name, serves, why);
	if (d)
		closedir(d);
}

void accepted_settle(const struct golden_cases *g, bool serves, struct buffer *why)
{
	for (size_t i = 0; g && i < g->n; i++)
		settle_case(g->path, g->cases[i].name, serves, why);
}
