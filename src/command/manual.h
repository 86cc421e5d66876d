/* SPDX-License-Identifier: MIT */
#pragma once

struct buffer;
struct program;

/* The manual page of the program and all of its commands, as roff for man(1). */
void program_manual(const struct program *p, struct buffer *ret);
