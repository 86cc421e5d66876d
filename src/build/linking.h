/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Linking
 *
 * What a link consists of on this machine, read from what the compiler's driver would run.
 */

#include "base/hash.h"
#include "build/words.h"

struct linking { /* all paths absolute; @linker is NULL where we can't link by ourselves */
	char *linker;
	struct words options;
	struct words before, after; /* crti.o crtbeginS.o; libgcc.a libc_nonshared.a crtendS.o crtn.o */
	struct words directories;   /* where libraries are, in the driver's order */
	struct words libraries;     /* what stubs are made of; none is missing here */
	struct hash identity;       /* of the linker and all of these files */
};

/* @answer is what the driver said to -###. If a piece is missing, `linker` stays NULL. */
void linking_learn(struct linking *l, const char *answer);
void linking_fini(struct linking *l);
