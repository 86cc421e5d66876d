/* SPDX-License-Identifier: MIT */
#pragma once

/* What a call has to do, by its deployment's word (<devserve/ext/work.h>). */

#include <stdint.h>

struct work {
	double flops, bytes; /* 0: not stated */
	uint32_t dtype;      /* enum devserve_dtype of the operations */
	uint32_t reserved;
};
