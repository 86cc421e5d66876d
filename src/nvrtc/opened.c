/* SPDX-License-Identifier: MIT */

/*
 * NVRTC has no option that tells which headers it read. But it opens them by these functions of
 * the C library, and as this program exports functions of the same names, the loader gives it
 * ours (Makefile).
 *
 * It also looks for the driver, to cache in what we keep in a store of our own. It doesn't find
 * one: a compiler has no business with the GPU, nor a save to wait until its driver is closed.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvrtc/compile.h"

#pragma GCC visibility push(default)
FILE *opened_fopen(const char *path, const char *mode);
int opened_open(const char *path, int flags, ...);
void *opened_dlopen(const char *path, int flags);
#pragma GCC visibility pop

void *opened_dlopen(const char *path, int flags)
{
	static void *(*next)(const char *, int);
	void *found = next ? NULL : dlsym(RTLD_NEXT, "dlopen");

	if (!next)
		memcpy(&next, &found, sizeof(next)); /* ISO C has no cast for it */
	if (compile_is_alone() && path && strstr(path, "libcuda.so"))
		return NULL;
	return next(path, flags);
}

FILE *opened_fopen(const char *path, const char *mode)
{
	int fd = -1, flags = mode[0] == 'r' ? O_RDONLY : mode[0] == 'w' ? O_WRONLY | O_CREAT | O_TRUNC
								       : O_WRONLY | O_CREAT | O_APPEND;

	if (strchr(mode, '+'))
		flags = (flags & ~O_WRONLY) | O_RDWR;
	fd = openat(AT_FDCWD, path, flags | O_CLOEXEC, 0666);
	if (fd < 0)
		return NULL;
	if (mode[0] == 'r')
		compile_note(path);
	return fdopen(fd, mode);
}

int opened_open(const char *path, int flags, ...)
{
	va_list args;
	int mode, fd;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	fd = openat(AT_FDCWD, path, flags, mode);
	if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY)
		compile_note(path);
	return fd;
}
