/* SPDX-License-Identifier: MIT */
#pragma once

/* The members of a state's struct; which of them are pointers. The exit status. */
int debug_layout(int argc, char **argv);
