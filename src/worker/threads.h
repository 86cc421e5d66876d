/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Threads
 *
 * How many threads are running that an image started: it must not be unmapped under them.
 * Threads of libraries that stay (OpenBLAS, OpenMP) don't count.
 */

/* [any] */
unsigned threads_of_images(void);
