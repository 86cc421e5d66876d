/* SPDX-License-Identifier: MIT */
#pragma once

/* What a test prints to stdout comes to `ours`, the reading end of a pipe. */

#include <criterion/criterion.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/buffer.h"

static int ours;

static void redirect(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	close(ends[1]);
	ours = ends[0];
}

/* All of it: the only writing end goes first. */
static struct buffer read_all(void)
{
	struct buffer text = BUFFER_NULL;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ssize_t n;

	dup2(null, STDOUT_FILENO);
	close(null);
	while ((n = read(ours, buffer_reserve(&text, 4096), 4096)) > 0)
		buffer_grow(&text, (size_t)n);
	buffer_grow(&text, 0);
	cr_assert_eq(n, 0);
	close(ours);
	return text;
}
