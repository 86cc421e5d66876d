/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Expression
 *
 * A kernel's name as C++ has it: `scale<float, 4>`, which is `scale<float,4>`.
 */

/* Without the blanks that C++ doesn't need; free(). */
char *expression_tidy(const char *text);
