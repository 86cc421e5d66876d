/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The memory operand of an instruction as objdump prints it, "vaddps 0x2abc(%rip){1to8},%ymm0,%ymm0".
 */

#include <stddef.h>

/* How many bytes it reads, 0 where that isn't certain, or where it only takes the address. */
size_t operand_width(const char *instruction, size_t size);
