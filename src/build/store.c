/* SPDX-License-Identifier: MIT */

/*
 * A file's name is the hash of its content, so checking it needs nothing else; a note
 * starts with the hash of what follows. Both are hashed at every use: 20 µs for an
 * ordinary image, and what is half written after a power cut is never loaded.
 *
 * Temporary files lie in tmp/PID-XXXXXX/, on the same file system as their places. What a
 * killed process left there is removed when the next store is opened.
 */

#include "build/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static const char *const kinds[] = { "objects", "images", "manifests", "links", "sources",
				     "toolchain", "devices", "layouts", "loops" };

/* Used a moment ago: somebody may be about to open it. */
enum { YOUNG_S = 10 };

static void remove_leftovers(const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH) {
			_cleanup_free_ char *path = path_join(directory, e->d_name);

			file_remove_tree(path);
		}
	}
	if (d)
		closedir(d);
}

static int open_directory(const char *root, const char *name, struct buffer *why)
{
	_cleanup_free_ char *path = path_join(root, name);
	int r = file_make_directories(path);

	if (r < 0)
		buffer_printf(why, "cannot make %s: %s", path, strerror(-r));
	return r;
}

static int open_temporary(struct store *s, struct buffer *why)
{
	_cleanup_free_ char *directory = path_join(s->root, "tmp");

	remove_leftovers(directory);
	s->temporary = xasprintf("%s/%ld-XXXXXX", directory, (long)getpid());
	if (!mkdtemp(s->temporary)) {
		int r = -errno;

		buffer_printf(why, "cannot write %s: %s", directory, strerror(-r));
		free(s->temporary);
		s->temporary = NULL;
		return r;
	}
	return 0;
}

int store_open(struct store *s, const char *state_dir, uint64_t limit, struct buffer *why)
{
	int r = open_directory(state_dir, "tmp", why);

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		r = open_directory(state_dir, kinds[i], why);
	if (r < 0)
		return r;
	*s = (struct store){ .root = xstrdup(state_dir), .limit = limit };
	r = open_temporary(s, why);
	if (r < 0)
		store_close(s);
	return r;
}

int store_mend(struct store *s)
{
	int r;

	if (file_is_directory(s->temporary))
		return 0;
	r = file_make_directories_from(s->root, s->temporary);
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++) {
		_cleanup_free_ char *path = path_join(s->root, kinds[i]);

		r = file_make_directories_from(s->root, path);
	}
	return r < 0 ? r : 1;
}

void store_close(struct store *s)
{
	if (s->temporary)
		file_remove_tree(s->temporary);
	free(s->temporary);
	free(s->root);
	*s = (struct store)STORE_NULL;
}

char *store_temporary(struct store *s, const char *suffix)
{
	return xasprintf("%s/%u%s", s->temporary, s->n_temporary++, suffix);
}

static const char *suffix_of(const char *kind)
{
	return strcmp(kind, "objects") == 0 ? ".o" : strcmp(kind, "images") == 0 ? ".so" : "";
}

char *store_path(const struct store *s, const char *kind, struct hash h)
{
	char text[HASH_TEXT_SIZE];

	hash_text(h, text);
	return xasprintf("%s/%s/%s%s", s->root, kind, text, suffix_of(kind));
}

static void mark_used(const char *path)
{
	utimensat(AT_FDCWD, path, (const struct timespec[]){ { .tv_nsec = UTIME_NOW },
							     { .tv_nsec = UTIME_OMIT } }, 0);
}

int store_take(struct store *s, const char *kind, const char *temporary, struct hash *ret)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	int r = hash_file(temporary, ret);

	if (r == 0) {
		path = store_path(s, kind, *ret);
		if (stat(temporary, &st) == 0)
			s->written += (uint64_t)st.st_size;
		if (rename(temporary, path) < 0)
			r = -errno;
	}
	if (r < 0)
		unlink(temporary);
	return r;
}

bool store_has(struct store *s, const char *kind, struct hash h)
{
	_cleanup_free_ char *path = store_path(s, kind, h);
	struct hash found;

	if (hash_file(path, &found) < 0)
		return false;
	if (!hash_equal(found, h)) {
		unlink(path);
		return false;
	}
	mark_used(path);
	return true;
}

void store_renew(const struct store *s, const char *kind, struct hash h)
{
	_cleanup_free_ char *path = store_path(s, kind, h);

	utimensat(AT_FDCWD, path, NULL, 0);
}

int store_read_note(struct store *s, const char *kind, struct hash key, struct buffer *ret)
{
	_cleanup_free_ char *path = store_path(s, kind, key);
	size_t before = ret->size;
	struct hash sum;
	int r = file_read(path, ret);

	if (r == 0 && (ret->size - before < HASH_TEXT_SIZE ||
		       !hash_from_text(ret->data + before, &sum) ||
		       !hash_equal(sum, hash_bytes(ret->data + before + HASH_TEXT_SIZE,
						   ret->size - before - HASH_TEXT_SIZE)))) {
		unlink(path);
		r = -ENOENT;
	}
	if (r < 0) {
		ret->size = before;
		return r;
	}
	memmove(ret->data + before, ret->data + before + HASH_TEXT_SIZE,
		ret->size - before - HASH_TEXT_SIZE + 1);
	ret->size -= HASH_TEXT_SIZE;
	mark_used(path);
	return 0;
}

int store_write_note(struct store *s, const char *kind, struct hash key, const char *text,
		     size_t size)
{
	_cleanup_free_ char *path = store_path(s, kind, key);
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	char sum[HASH_TEXT_SIZE];

	hash_text(hash_bytes(text, size), sum);
	buffer_printf(&b, "%s\n", sum);
	buffer_append(&b, text, size);
	s->written += b.size;
	return file_write(path, b.data, b.size, 0644);
}

struct entry {
	char *path;
	uint64_t size;
	time_t used;
	bool held; /* it has another name, too: to remove this one frees nothing */
};

struct entries {
	struct entry *at;
	size_t n;
	uint64_t size;
};

static void list(struct entries *all, const char *root, const char *kind)
{
	_cleanup_free_ char *directory = path_join(root, kind);
	DIR *d = opendir(directory);
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		all->at = xrealloc(all->at, (all->n + 1) * sizeof(*all->at));
		all->at[all->n++] = (struct entry){
			.path = path_join(directory, e->d_name),
			.size = (uint64_t)st.st_blocks * 512,
			.used = st.st_atime > st.st_mtime ? st.st_atime : st.st_mtime,
			.held = st.st_nlink > 1,
		};
		all->size += (uint64_t)st.st_blocks * 512;
	}
	if (d)
		closedir(d);
}

static int by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->used > y->used) - (x->used < y->used);
}

int64_t store_trim(struct store *s)
{
	struct entries all = { .at = NULL };
	time_t now = time(NULL);
	int64_t freed = 0;

	s->written = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		list(&all, s->root, kinds[i]);
	if (all.n)
		qsort(all.at, all.n, sizeof(*all.at), by_use);
	for (size_t i = 0; i < all.n; i++) {
		struct entry *e = &all.at[i];

		if (all.size - (uint64_t)freed > s->limit && e->used + YOUNG_S < now && !e->held &&
		    unlink(e->path) == 0)
			freed += (int64_t)e->size;
		free(e->path);
	}
	free(all.at);
	return freed;
}

void store_trim_sometimes(struct store *s)
{
	if (s->written > s->limit / 16)
		store_trim(s);
}
