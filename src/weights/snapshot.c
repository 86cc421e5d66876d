/* SPDX-License-Identifier: MIT */

/*
 * The header is read from the copy, not from the file: what was checked is what is mapped.
 * The file is looked at before and after; when it changed meanwhile, the copy is of no moment
 * that ever was and is made again. A clone shares the file's blocks and is one moment anyway,
 * but its content must be read all the same, for its name.
 */

#include "weights/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "infer/json_parse.h"

enum { TRIES = 5, CHUNK = 1 << 20 };

struct copy {
	const char *from;
	const atomic_bool *cancelled;
	char *temporary;
	int in, out;
	uint64_t expected; /* bytes; one that grows is not read for ever */
	struct snapshot *result;
};

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int file_look(const char *path, struct file_look *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	ret->device = st.st_dev;
	ret->inode = st.st_ino;
	ret->size = (uint64_t)st.st_size;
	ret->changed_ns = ns_of(st.st_ctim);
	ret->modified_ns = ns_of(st.st_mtim);
	return 0;
}

void snapshot_fini(struct snapshot *s)
{
	free(s->path);
	free(s->error);
	header_fini(&s->header);
	*s = (struct snapshot){ .path = NULL };
}

/* Copying */

/* Reads @fd to its end into a hash, and into the copy unless that is a clone. */
static int pass_on(struct copy *c, int fd, bool write_it, char *chunk)
{
	struct hash_state *hash = hash_state_new();
	uint64_t size = 0;
	ssize_t n;
	int r = 0;

	do {
		n = atomic_load(c->cancelled) ? (errno = ECANCELED, -1) : read(fd, chunk, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : write_it ? file_write_all(c->out, chunk, (size_t)n) : 0;
		if (n > 0) {
			hash_state_add(hash, chunk, (size_t)n);
			size += (uint64_t)n;
		}
	} while (n != 0 && r == 0 && size <= c->expected);
	c->result->hash = hash_state_end(hash);
	c->result->size = size;
	return r;
}

static int copy_once(struct copy *c)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK);
	bool cloned;

	if (lseek(c->in, 0, SEEK_SET) < 0 || lseek(c->out, 0, SEEK_SET) < 0 || ftruncate(c->out, 0) < 0)
		return -errno;
	cloned = ioctl(c->out, FICLONE, c->in) == 0;
	return pass_on(c, cloned ? c->out : c->in, !cloned, chunk);
}

/* 0, -EAGAIN when the file never stood still, or -errno. */
static int copy_unchanged(struct copy *c)
{
	struct file_look before = { 0 }, after;
	int r;

	for (unsigned i = 0; i < TRIES; i++) {
		r = file_look(c->from, &before);
		if (r == 0 && c->in < 0)
			c->in = open(c->from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (r == 0 && c->in < 0)
			r = -errno;
		c->expected = before.size;
		if (r == 0)
			r = copy_once(c);
		if (r == 0)
			r = file_look(c->from, &after);
		if (r < 0)
			return r;
		if (memcmp(&before, &after, sizeof(before)) == 0 && c->result->size == before.size) {
			c->result->look = before;
			return 0;
		}
		close(c->in); /* another file may have its name now */
		c->in = -1;
	}
	return -EAGAIN;
}

/* The copy is there: what is it? */

static int read_header(struct copy *c, struct buffer *why)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	unsigned char first[8] = { 0 };
	uint64_t size;
	int r;

	if (pread(c->out, first, sizeof(first), 0) < 0)
		return -errno;
	r = header_size(first, c->result->size, &size, why);
	if (r)
		return r;
	buffer_reserve(&json, size + JSON_PADDING);
	memset(json.data, 0, size + JSON_PADDING);
	if (pread(c->out, json.data, size, 8) != (ssize_t)size)
		return -EIO;
	return header_parse(json.data, size, c->result->size, &c->result->header, why);
}

static int keep(struct copy *c, const char *directory)
{
	char text[HASH_TEXT_SIZE];
	struct stat st;
	char *path;

	hash_text(c->result->hash, text);
	path = xasprintf("%s/%s.safetensors", directory, text);
	if (stat(path, &st) < 0 || (uint64_t)st.st_size != c->result->size) {
		if (fchmod(c->out, 0444) < 0 || rename(c->temporary, path) < 0) {
			free(path);
			return -errno;
		}
	}
	c->result->path = path;
	return 0;
}

static char *sentence_of(const char *name, int error, const struct buffer *why)
{
	if (error == HEADER_REFUSED)
		return xasprintf("%s%s%s", name, buffer_text(why)[0] == '"' ? ": " : " ", buffer_text(why));
	if (error == -EAGAIN)
		return xasprintf("%s changed again and again while it was copied; write it beside and rename it over",
				 name);
	if (error == -EINVAL)
		return xasprintf("%s is not a regular file", name);
	if (error == -ENOENT)
		return xasprintf("there is no file %s", name);
	return xasprintf("cannot copy %s: %s", name, strerror(-error));
}

void snapshot_take(const char *path, const char *name, const char *directory, const atomic_bool *cancelled,
		   struct snapshot *ret)
{
	_cleanup_free_ char *temporary = xasprintf("%s/copying-XXXXXX", directory);
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct copy c = { .from = path, .cancelled = cancelled, .temporary = temporary, .in = -1, .result = ret };
	int r = 0;

	*ret = (struct snapshot){ .path = NULL };
	c.out = mkostemp(temporary, O_CLOEXEC);
	r = c.out < 0 ? -errno : copy_unchanged(&c);
	if (r == 0)
		r = read_header(&c, &why);
	if (r == 0)
		r = keep(&c, directory);
	ret->lasting = r == 0 || r == HEADER_REFUSED;
	if (r)
		ret->error = sentence_of(name, r, &why);
	if (c.in >= 0)
		close(c.in);
	if (c.out >= 0) {
		close(c.out);
		unlink(temporary); /* unless it was renamed */
	}
}
