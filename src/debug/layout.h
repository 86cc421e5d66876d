/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `layout IMAGE`: the layout of the state's struct (state/layout.h) on stdout. The exit status: 0;
 * 3, a member is a pointer (or holds one), and stderr says which: "counter.name (char *),
 * counter.c:7"; 1, it can't be told, and stderr says why.
 */
int debug_layout(int argc, char **argv);
