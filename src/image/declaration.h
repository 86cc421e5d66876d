/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Declaration
 *
 * What the devserve_entry of an image says, checked: what the worker can't serve and what a
 * client couldn't ask for is refused here, before any code of the image has run.
 */

#include <stdint.h>

struct buffer;
struct elf;
struct image_info;

/*
 * Fill in what comes from the entry at @address. 0, or an IMAGE_E_* with a sentence; @info
 * may be half filled then.
 */
int declaration_read(const struct elf *e, uint64_t address, uint64_t symbol_size,
		     struct image_info *info, struct buffer *why);
