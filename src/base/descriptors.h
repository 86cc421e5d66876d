/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Descriptors
 *
 * How many files this process may have open. The soft limit is 1024 almost everywhere, for
 * the sake of programs that call select(); the hard limit is what counts.
 */

/* Raise the soft limit to @wanted if it is lower, as far as the hard limit goes; returns what it is. */
unsigned descriptors_raise(unsigned wanted);
