/* SPDX-License-Identifier: MIT */
#pragma once

/* What `devserve new` writes. All of them compute the same: Y = 2 X. */

struct template {
	const char *language; /* "c", "c++", "cuda" */
	const char *suffix;   /* ".c" */
	const char *text;
};

/* NULL: there is none for @language. */
const struct template *template_find(const char *language);
