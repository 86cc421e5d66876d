/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * devserve-watch ROOT [--poll]
 *
 * Tells on standard output, a pipe, what changes below ROOT (watch/protocol.h). A program of
 * its own because of the library that it uses: libinotifytools is GPL-2.0-only, keeps its
 * state in statics, waits for whole seconds and leaks its descriptor to children. So this
 * program as a whole is GPL-2.0-only too, and the server is not.
 *
 * Ends when nobody reads its output, and with its parent. With WATCH_EXIT_NO_ROOT when ROOT
 * is no directory or is replaced by another. --poll never trusts events.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "watcher/events.h"
#include "watcher/polling.h"
#include "watcher/root.h"
#include "watcher/wire.h"

int main(int argc, char **argv)
{
	struct wire wire = { .records = BUFFER_NULL };
	struct root root;
	int r;

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "--poll") != 0)) {
		fprintf(stderr, "usage: devserve-watch ROOT [--poll]\n");
		return EXIT_FAILURE;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	close_range(3, ~0U, 0); /* watches.c looks for inotify's among the open ones */

	if (root_init(&root, argv[1]) < 0)
		return WATCH_EXIT_NO_ROOT;
	r = argc == 3 ? EVENTS_E_USELESS : events_run(&root, &wire);
	if (r == EVENTS_E_USELESS) {
		polling_run(&root, &wire);
		r = EVENTS_E_NO_ROOT;
	}
	wire_flush(&wire);
	wire_fini(&wire);
	root_fini(&root);
	if (r == EVENTS_E_NO_ROOT)
		return WATCH_EXIT_NO_ROOT;
	fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
	return EXIT_FAILURE;
}
