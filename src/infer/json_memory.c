/* SPDX-License-Identifier: MIT */

/*
 * What simdjson takes for a text, without asking it: a list of places, one for each mark of the
 * grammar and one for the value behind it, and a document that has up to two words for each
 * value. Text of "1,1,1…" takes twelve times its size, that of usual floats twice. Strings are
 * copied, and so is a text that has to be spelt in another way (json_respell()).
 */

#include <string.h>

#include "infer/json_parse.h"

#define PLACE sizeof(uint32_t)
#define WORD sizeof(uint64_t)

/*
 * Commas, colons and brackets. A vector of counters, each for every 16th byte: left alone with
 * a loop, the compiler takes half as long as simdjson does for everything.
 */
static size_t count_marks(const char *text, size_t size)
{
	typedef uint8_t vector __attribute__((vector_size(16)));
	size_t n = 0, at = 0;

	while (size - at >= sizeof(vector)) {
		vector v, counters = { 0 };

		for (unsigned i = 0; i < UINT8_MAX && size - at >= sizeof(v); i++, at += sizeof(v)) {
			memcpy(&v, text + at, sizeof(v));
			/* A mask is -1 where it is so. '[' and '{', ']' and '}' differ in one bit. */
			counters -= (vector)((v == ',') | (v == ':') | ((v | 0x20) == '{') |
					     ((v | 0x20) == '}'));
		}
		for (unsigned i = 0; i < sizeof(vector); i++)
			n += counters[i];
	}
	return n + size - at;
}

size_t json_memory(const char *text, size_t size)
{
	if (size <= JSON_KEPT)
		return 0;
	return 2 * size + count_marks(text, size) * 2 * (PLACE + WORD);
}
