/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

struct devserve_state_extension;
struct layout;

/* Calls e->migrate_from(), with the layout as images know it. @layout: or NULL. What it returns. */
int migrate_from(const struct devserve_state_extension *e, const void *old, uint32_t version, uint64_t size,
		 const struct layout *layout, void *ret);
