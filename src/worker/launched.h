/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Launched
 *
 * A worker that devserve did not start itself but had started by another program, which looks on
 * (replica/memcheck.h): it leads the process group, and is our parent or our parent's.
 */

#include <stdbool.h>
#include <stdint.h>

/* Whether it is so; then it ends with the server and with that program. Once, at the start. */
bool launched_init(uint32_t server_pid);
/* Whether it is so, for one that ends by itself. Once, at the start, instead of the above. */
bool launched_learn(void);
/* What they said; false before. [any] */
bool launched_is(void);
