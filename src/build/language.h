/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Language
 *
 * Of a source, by the suffix of its name; a .cu without host code is another than one with.
 */

#include <stdbool.h>

enum language {
	LANGUAGE_NONE, /* not a source */
	LANGUAGE_C,
	LANGUAGE_CXX,
	LANGUAGE_ASSEMBLER, /* with the preprocessor: .S */
	LANGUAGE_CUDA,   /* for host and device */
	LANGUAGE_DEVICE, /* CUDA for the device alone */
};

enum language language_of(const char *path);
/*
 * The same, and a .cu is looked into: LANGUAGE_DEVICE unless it launches kernels with <<<>>>,
 * includes the headers of devserve or of CUDA's libraries for the host (Thrust's among them), or includes
 * the CUDA runtime's and calls its functions or has nothing for the device.
 */
enum language language_of_source(const char *path);
/* Whether the .cu has a kernel (__global__) of that name, with its body; its headers are not looked into. */
bool language_has_kernel(const char *path, const char *name);
/* "C", "C++", "assembler", "CUDA" */
const char *language_name(enum language l);
