/* SPDX-License-Identifier: MIT */
#pragma once

/* Process: of one that we may not have started. */

#include <stdbool.h>
#include <sys/types.h>

/* Whether @pid runs. One that has ended and that nobody has waited for, as some parents never do, doesn't. */
bool process_is_alive(pid_t pid);
