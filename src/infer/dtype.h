/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Datatypes of the Open Inference Protocol; numbers are those of <devserve/deployment.h>.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "INT32"; NULL where @dtype is none. */
const char *dtype_name(uint32_t dtype);

/* 0 where there is none of that name. */
uint32_t dtype_from_name(const char *name, size_t size);

/* Bytes of an element; 0 for BYTES, whose elements say their own. */
size_t dtype_size(uint32_t dtype);

/* Whether JSON can say its values: not those of FP16 and BF16. */
bool dtype_in_json(uint32_t dtype);
