/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Limits
 *
 * Why inotify can't be used, in words that tell the way out.
 */

#include <stdbool.h>

struct wire;

/* Whether changes below @directory may come without events. If so, a notice has said why. */
bool limits_distrust(struct wire *wire, const char *directory);

/* A notice: @path can't be watched because of @r, -errno. */
void limits_explain(struct wire *wire, const char *path, int r);
