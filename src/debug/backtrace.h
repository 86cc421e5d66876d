/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Frames to functions, files and lines. Arguments: modules, "BIAS=PATH", then addresses as they
 * were in the process, in hex; those of callers are return addresses. For each frame, innermost
 * first, inlined ones among them, a line
 *
 *	FUNCTION TAB FILE TAB LINE TAB CHANGED TAB SOURCE
 *
 * with empty fields for what isn't known, and LINE 0. "-" among the addresses parts the frames of one
 * stack from those of another, and is an empty line. CHANGED is "+" and SOURCE empty where the file
 * was saved after its module. The exit status.
 */
int debug_backtrace(int argc, char **argv);
