/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files and paths. Every function returns 0 or -errno unless it says otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buffer;

/*
 * Append the whole file to @ret. Never waits for anybody: what is no regular file (a pipe, a device) is
 * -EINVAL, a directory -EISDIR.
 */
int file_read(const char *path, struct buffer *ret);

/* The same of whatever @path is, until its end: a pipe is waited for. */
int file_read_any(const char *path, struct buffer *ret);

/* The first bytes of a file in /proc, as a string that fits into @line. Allocates nothing. */
int file_read_line(const char *path, char *line, size_t size);

/* Write a new file beside @path and rename it over: readers see old or new, never half. */
int file_write(const char *path, const void *bytes, size_t size, mode_t mode);

/* Every byte of @bytes to @fd, which may block. */
int file_write_all(int fd, const void *bytes, size_t size);

/* Copy the content of @from to the new inode @to (by reflink where that works), with its time. */
int file_copy(const char *from, const char *to);

/* mkdir -p */
int file_make_directories(const char *path);

/* The same from @base down, which @path is or lies below; what @base lies in must be there: else -ENOENT. */
int file_make_directories_from(const char *base, const char *path);

/* rm -r; what is not there is fine. Doesn't follow links. */
int file_remove_tree(const char *path);

bool file_exists(const char *path);
bool file_is_directory(const char *path);

/* "a/b"; free(). */
char *path_join(const char *directory, const char *name);

/* The part after the last '/'. Points into @path. */
const char *path_name(const char *path);

/* The suffix with its dot ("matmul.c" -> ".c"), "" where there is none. Points into @path. */
const char *path_suffix(const char *path);

/* Whether @path is @directory itself or lies below it; both absolute and normalised. */
bool path_is_below(const char *path, const char *directory);

/* The directory our own program was started from, without '/'; free(). */
char *path_of_program(void);

/*
 * A helper program or file of ours: beside the program, else $prefix/libexec/devserve/; free().
 * Programs of the tests lie elsewhere: with DEVSERVE_LIBEXEC set, it is looked for there.
 */
char *path_of_helper(const char *name);

/* Where what can be found out again is kept between runs: below XDG_CACHE_HOME or HOME; free(). NULL: nowhere. */
char *path_of_cache(void);

/*
 * The directory that our public headers' directory is in: beside build/ in the sources, or beside
 * bin/ where it is installed; DEVSERVE_INCLUDE overrides; free().
 */
char *path_of_headers(void);
