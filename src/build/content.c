/* SPDX-License-Identifier: MIT */
#include "build/content.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/memory.h"

/* A file's timestamp may lie before the write by a tick of the kernel's clock. */
#define TICK_NS (10 * NS_PER_MS)

struct content {
	char *path;
	uint64_t changed_ns, modified_ns, size, inode;
	uint64_t hashed_ns; /* wall clock, before reading; 0: never */
	struct hash hash;
};

struct contents {
	void *tree; /* of struct content by path; tsearch(3) */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct content *)a)->path, ((const struct content *)b)->path);
}

static void free_content(void *node)
{
	struct content *c = node;

	free(c->path);
	free(c);
}

struct contents *contents_new(void)
{
	return xcalloc(1, sizeof(struct contents));
}

struct contents *contents_free(struct contents *c)
{
	if (c)
		tdestroy(c->tree, free_content);
	free(c);
	return NULL;
}

static struct content *get(struct contents *c, const char *path)
{
	struct content key = { .path = (char *)path }, *fresh;
	struct content **node = tfind(&key, &c->tree, compare);

	if (node)
		return *node;
	fresh = xcalloc(1, sizeof(*fresh));
	fresh->path = xstrdup(path);
	if (!tsearch(fresh, &c->tree, compare))
		abort();
	return fresh;
}

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static bool is_same(const struct content *c, const struct stat *st)
{
	return c->hashed_ns && c->changed_ns == ns_of(st->st_ctim) &&
	       c->modified_ns == ns_of(st->st_mtim) && c->size == (uint64_t)st->st_size &&
	       c->inode == st->st_ino && c->changed_ns + TICK_NS < c->hashed_ns;
}

static int update(struct content *c)
{
	uint64_t now = clock_wall_ns();
	struct hash hash;
	struct stat st;
	int r;

	if (stat(c->path, &st) < 0)
		return -errno;
	if (is_same(c, &st))
		return 0;
	r = hash_file(c->path, &hash);
	if (r < 0)
		return r;
	c->changed_ns = ns_of(st.st_ctim);
	c->modified_ns = ns_of(st.st_mtim);
	c->size = (uint64_t)st.st_size;
	c->inode = st.st_ino;
	c->hash = hash;
	c->hashed_ns = now;
	return 0;
}

int contents_hash(struct contents *c, const char *path, struct hash *ret)
{
	struct content *one = get(c, path);
	int r = update(one);

	if (r == 0)
		*ret = one->hash;
	return r;
}

int contents_hash_since(struct contents *c, const char *path, uint64_t since, struct hash *ret)
{
	struct content *one = get(c, path), before = *one;
	int r = update(one);

	if (r < 0)
		return r;
	*ret = one->hash;
	if (one->changed_ns + TICK_NS < since)
		return 0;
	/* Changed about then: fine only if it was the same when it was last looked at before. */
	if (before.hashed_ns && before.hashed_ns <= since && hash_equal(before.hash, one->hash))
		return 0;
	return -ESTALE;
}
