/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Headers
 *
 * NVRTC has no library of the host, and most of what kernels want of its headers built in: sizes, printf(),
 * assert(), the functions of <math.h>. So that a kernel may include the usual ones as it would for nvcc, ours
 * stand in, which NVRTC is given as texts. What they define <cuda/std/…> defines in the very same words, so
 * both may be included.
 */

#include <stddef.h>

#define HEADERS_MAX 32

struct headers { /* all texts are static */
	const char *names[HEADERS_MAX], *texts[HEADERS_MAX];
	size_t n;
};

/*
 * Those for @source, compiled with @options: NVRTC would take them before any file, so none that is beside
 * the source or in a directory of the author's that is searched (-I). Those of others (--include-path=) don't
 * matter: /usr/include may be among them, and NVRTC can't take the host's <stdint.h>.
 */
void headers_choose(struct headers *h, const char *source, const char *const *options, size_t n);
