/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Where a text that json_parse() calls JSON_E_SYNTAX stops being JSON: an offset; @size where that
 * isn't known, or the end is missing. For people, since the text is read once more. JSON_PADDING
 * bytes must be readable after it.
 */
size_t json_locate(const char *text, size_t size);

#ifdef __cplusplus
}
#endif
