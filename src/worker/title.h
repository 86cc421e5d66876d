/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Title
 *
 * What process lists call this worker: `ps` shows its arguments, `top` its main thread's name.
 */

/* @argv: main()'s. The last one is followed by blanks, the room for names (replica.c). */
void title_init(int argc, char **argv);

/* From now on it is called @name, cut to the room there is. Main thread only. */
void title_set(const char *name);
