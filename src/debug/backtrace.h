/* SPDX-License-Identifier: MIT */
#pragma once

/* Frames to functions, files and lines. The exit status. */
int debug_backtrace(int argc, char **argv);
