/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether a server runs for the root (or with the state directory); if so, all that it has told
 * before is in the history's file afterwards, unless it can't be.
 */

#include <stdbool.h>

bool cli_await_history(const char *root, const char *state_dir);
