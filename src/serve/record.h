/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Record
 *
 * What is kept of a deployment across restarts: the number of the generation that served, and
 * which source that was, so that the same source gets the same number again; its image, to serve
 * again where the source no longer can; the highest number so far, and the source that it is for
 * while that is on its way; the sources that crashed, or were rolled back from, which aren't loaded
 * again. A text file of `key value` lines, state_dir/deployments/NAME, replaced as a whole.
 */

#include <stdint.h>

#include "base/hash.h"

struct record {
	uint32_t generation; /* 0: none yet */
	struct hash source;
	struct hash image;   /* in the store; zero: not known */
	struct hash device;  /* its device code, likewise; zero: none */
	uint32_t last;       /* the highest so far: it may have crashed, and another one served */
	struct hash coming;  /* source that `last` is for, should it have come to serve since; zero: none */
	struct hash crashed; /* zero: none */
	struct hash aside;   /* source that was rolled back from, and waits until it changes; zero: none */
};

/* What cannot be read counts as none. */
void record_read(const char *state_dir, const char *name, struct record *ret);

/* 0 or -errno. */
int record_write(const char *state_dir, const char *name, const struct record *r);
