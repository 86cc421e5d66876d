/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Remarks
 *
 * What a compiler says of its own work: gcc's -fopt-info and clang's record of optimisations.
 */

struct loops;

/* Add to @l what gcc or clang wrote of loops in the files below @directory. They are read, for their lines. */
void remarks_read(struct loops *l, const char *text, const char *directory);
