/* SPDX-License-Identifier: MIT */

/*
 * The kernel reads a process's arguments from where they lay when it started, so a new one is
 * written over the old. Nothing may follow that is longer: there is the environment.
 */

#include "worker/title.h"

#include <string.h>
#include <sys/prctl.h>

static char *room;
static size_t size;

void title_init(int argc, char **argv)
{
	if (argc < 2)
		return; /* started by hand, and about to end */
	room = argv[argc - 1];
	size = strlen(room);
	for (size_t i = size; i && room[i - 1] == ' '; i--)
		room[i - 1] = '\0';
}

void title_set(const char *name)
{
	if (!room || strncmp(room, name, size) == 0)
		return;
	strncpy(room, name, size); /* all of the rest is NUL then, and so is room[size] */
	prctl(PR_SET_NAME, name);
}
