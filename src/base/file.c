/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"

static int read_all(int fd, off_t size, struct buffer *ret)
{
	ssize_t n;

	buffer_reserve(ret, size > 0 ? (size_t)size + 1 : 4096);
	do {
		n = read(fd, buffer_reserve(ret, 4096), ret->room - ret->size - 1);
		if (n > 0)
			buffer_grow(ret, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int file_read(const char *path, struct buffer *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = -EISDIR;
	else
		r = S_ISREG(st.st_mode) ? read_all(fd, st.st_size, ret) : -EINVAL;
	close(fd);
	return r;
}

int file_read_any(const char *path, struct buffer *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, 0, ret);
	close(fd);
	return r;
}

int file_read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, line, size - 1);
	while (n < 0 && errno == EINTR);
	n = n < 0 ? -errno : n;
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	return n < 0 ? (int)n : 0;
}

int file_write_all(int fd, const void *from, size_t size)
{
	const char *bytes = from;

	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int file_write(const char *path, const void *bytes, size_t size, mode_t mode)
{
	_cleanup_free_ char *temporary = xasprintf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, bytes, size);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	return r;
}

static int copy_content(int from, int to)
{
	struct stat st;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (fstat(from, &st) < 0)
		return -errno;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		left -= n;
	}
	return 0;
}

int file_copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out, r;
	struct stat st;

	if (in < 0)
		return -errno;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = out < 0 ? -errno : copy_content(in, out);
	if (r == 0 && fstat(in, &st) == 0)
		futimens(out, (const struct timespec[]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim });
	close(in);
	if (out >= 0 && close(out) < 0 && r == 0)
		r = -errno;
	if (out >= 0 && r < 0)
		unlink(to);
	return r;
}

int file_make_directories(const char *path)
{
	return file_make_directories_from("/", path);
}

int file_make_directories_from(const char *base, const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);

	for (char *slash = copy + strlen(base); (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(copy, 0777) < 0 && errno != EEXIST)
		return -errno;
	return file_is_directory(path) ? 0 : -ENOTDIR;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path) < 0 ? -errno : 0;
}

int file_remove_tree(const char *path)
{
	int r = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);

	if (r == -1)
		r = -errno;
	return r == -ENOENT ? 0 : r;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool file_is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *path_join(const char *directory, const char *name)
{
	return xasprintf("%s/%s", directory, name);
}

const char *path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *path_suffix(const char *path)
{
	const char *name = path_name(path), *dot = strrchr(name, '.');

	return dot && dot != name ? dot : name + strlen(name);
}

bool path_is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

char *path_of_program(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1); /* doesn't end the string */

	if (n < 0 || (size_t)n == sizeof(path) - 1)
		return xstrdup(".");
	path[n] = '\0';
	return xstrndup(path, (size_t)(strrchr(path, '/') - path));
}

char *path_of_helper(const char *name)
{
	const char *told = getenv("DEVSERVE_LIBEXEC");
	_cleanup_free_ char *directory = path_of_program();
	char *beside;

	if (told && *told)
		return path_join(told, name);
	beside = path_join(directory, name);
	if (file_exists(beside))
		return beside;
	free(beside);
	return xasprintf("%s/../libexec/devserve/%s", directory, name);
}

char *path_of_cache(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && cache[0] == '/')
		return path_join(cache, "devserve");
	return home && home[0] == '/' ? path_join(home, ".cache/devserve") : NULL;
}

char *path_of_headers(void)
{
	_cleanup_free_ char *program = path_of_program();
	_cleanup_free_ char *beside = path_join(program, "../include");
	const char *given = getenv("DEVSERVE_INCLUDE");
	char *real;

	if (given && given[0])
		return xstrdup(given);
	real = realpath(beside, NULL);
	return real ? real : xstrdup("/usr/include");
}
