/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Manners
 *
 * What a worker owes to the machine and to who started it: it ends with the server, leaves Ctrl-C to it,
 * lets its user look into it, writes no core unasked, and is the first to go should memory run out.
 */

#include <stdint.h>

/* At the start. Ends the process where the server is gone already. */
void manners_adopt(uint32_t server_pid);
