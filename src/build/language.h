/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Language
 *
 * Of a source, by the suffix of its name.
 */

enum language {
	LANGUAGE_NONE, /* not a source */
	LANGUAGE_C,
	LANGUAGE_CXX,
	LANGUAGE_ASSEMBLER, /* with the preprocessor: .S */
	LANGUAGE_CUDA,
};

enum language language_of(const char *path);
/* "C", "C++", "assembler", "CUDA" */
const char *language_name(enum language l);
