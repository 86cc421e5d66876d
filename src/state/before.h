/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Before
 *
 * The checkpoint that is kept beside a state's, from before its struct changed the last time. Where
 * the struct becomes that one again (a rollback, an edit undone), what was in members that had gone
 * comes back out of it.
 */

#include <stdbool.h>
#include <stdint.h>

struct layout;

/* "PATH.before". The caller frees it. */
char *before_path(const char *path);

/* Whether beside the checkpoint at @path one is kept of exactly this struct. @layout: or NULL. */
bool before_is_of(const char *path, const struct layout *layout, uint32_t version);

/*
 * From there into @ret, which is zero and has the layout @to: members that @from doesn't have.
 * Nothing, if it isn't of that struct. 0, or -errno.
 */
int before_restore(const char *path, const struct layout *from, const struct layout *to, uint32_t version, void *ret);
