/* SPDX-License-Identifier: MIT */
#pragma once

#include <criterion/criterion.h>
#include <string.h>

#include "base/buffer.h"
#include "state/layout.h"

/* Of a struct "counter". */
static inline struct layout *layout_of(uint64_t size, const char *members)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct layout *l;

	buffer_printf(&text, "state 1 %llu counter\n%s", (unsigned long long)size, members);
	l = layout_parse(text.data, text.size);
	cr_assert(l, "%s", text.data);
	return l;
}
