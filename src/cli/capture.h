/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

struct buffer;

/*
 * Run a program to its end: @input on its stdin, what it prints on stdout and stderr appended
 * to @ret. argv[0] is looked up in PATH; NULL ends @argv. Its exit status (128 + signal), or
 * -ETIMEDOUT after it was killed, or -errno; -EINTR: it was killed for a signal that is held back
 * (cli/interruption.h).
 */
int capture(const char *const *argv, const char *input, unsigned timeout_ms, struct buffer *ret);

/* The same, with that environment; NULL: ours. */
int capture_with(const char *const *argv, char *const *environment, const char *input, unsigned timeout_ms,
		 struct buffer *ret);

/* The same with up to @most bytes of what it prints; the other takes a megabyte. */
int capture_all(const char *const *argv, const char *input, unsigned timeout_ms, size_t most, struct buffer *ret);
