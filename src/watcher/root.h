/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Root
 *
 * The directory whose changes are told.
 */

#include <stdbool.h>
#include <sys/types.h>

struct root {
	const char *given; /* borrowed: what the server calls it */
	char *path;        /* realpath() of it */
	dev_t device;
	ino_t inode;
};

/* 0 or -errno, -ENOTDIR if it is something else. */
int root_init(struct root *r, const char *given);
void root_fini(struct root *r);

/* Whether its name still leads to the same directory. */
bool root_is_there(const struct root *r);
