/* SPDX-License-Identifier: MIT */
#pragma once

struct buffer;
struct program;

/*
 * Scripts that complete what is typed: commands, options, and their values by kind. For the
 * names of deployments they ask the program itself: `devserve completion names`.
 */
void completion_bash(const struct program *p, struct buffer *ret);
void completion_zsh(const struct program *p, struct buffer *ret);
void completion_fish(const struct program *p, struct buffer *ret);
