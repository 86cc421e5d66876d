/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/* How many processes the kernel has killed for want of memory, ever. 0 where it doesn't say. */
uint64_t oom_kills(void);

/* The same as /proc/vmstat says it in @vmstat. */
uint64_t oom_kills_in(const char *vmstat);
