/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stamp
 *
 * Which version of devserve on which CPU filled the state directory, in state_dir/stamp. What
 * another one built there is not believed. Records are, for a generation's number is never
 * given twice; weights and checkpoints are not products of a build.
 */

struct buffer;

/*
 * Remove what isn't ours and leave our stamp. 0: it was ours, or empty; 1: it wasn't, with a
 * sentence for people; or -errno. Call it before anything looks into the directory.
 */
int stamp_check(const char *state_dir, struct buffer *ret_sentence);

/* Leave it again where it is missing: what was built since stamp_check() is ours. */
void stamp_keep(const char *state_dir);
