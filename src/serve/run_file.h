/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Run file
 *
 * state_dir/run.json, readable by its owner alone: where the server is and the token that its
 * control routes want. Commands find a running server by it. Removed when the server ends.
 */

#include <sys/types.h>

#define TOKEN_SIZE 65 /* 32 random bytes in hex, and a NUL */

/* 0 or -errno. */
int token_make(char ret[TOKEN_SIZE]);

int run_file_write(const char *state_dir, const char *url, const char *token, const char *version);

/*
 * The process that serves with this state directory already, and its URL; 0: none. A run.json
 * that a killed server left doesn't count.
 */
pid_t run_file_owner(const char *state_dir, char ret_url[256]);

/* Only if it is ours: another server may have taken the root over. */
void run_file_remove(const char *state_dir, const char *token);
