/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Interruption
 *
 * Who has a child at work or a directory in /tmp holds Ctrl-C and the like back until both are gone.
 * capture() ends its child once one has come; what comes after the release ends us as ever.
 */

#include <signal.h>

struct interruption {
	sigset_t before;
};

/* SIGINT, SIGTERM and SIGHUP wait from now on, but those that we were started to ignore. */
void interruption_hold(struct interruption *i);

/* What has come meanwhile ends the process here. */
void interruption_release(const struct interruption *i);

/* Readable once one of them waits; close() it. Or a negative errno. */
int interruption_fd(void);
