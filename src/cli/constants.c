/* SPDX-License-Identifier: MIT */
#include "cli/constants.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/capture.h"

#define PATIENCE_MS 30000
#define MOST ((size_t)64 << 20)

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* " 2000 00000040 01020304                    ...@....": text begins after two blanks. */
static void take_line(struct constants *c, struct buffer *bytes, const char *line)
{
	char *at;
	uint64_t address = strtoull(line, &at, 16);

	if (at == line || *at != ' ')
		return;
	if (!bytes->size)
		c->address = address;
	while (*at == ' ' && digit(at[1]) >= 0)
		for (at++; digit(at[0]) >= 0 && digit(at[1]) >= 0; at += 2)
			buffer_putc(bytes, (char)(digit(at[0]) << 4 | digit(at[1])));
}

void constants_read(const char *image, struct constants *ret)
{
	const char *argv[] = { "objdump", "-s", "-j", ".rodata", image, NULL };
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct buffer bytes = BUFFER_NULL;

	*ret = (struct constants)CONSTANTS_NULL;
	if (capture_all(argv, "", PATIENCE_MS, MOST, &text) != 0)
		return;
	for (const char *line = buffer_text(&text), *end; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (line[0] == ' ')
			take_line(ret, &bytes, line + 1);
	}
	ret->size = bytes.size;
	ret->bytes = bytes.size ? (unsigned char *)buffer_steal(&bytes) : NULL;
	buffer_fini(&bytes);
}

void constants_fini(struct constants *c)
{
	free(c->bytes);
	*c = (struct constants)CONSTANTS_NULL;
}

bool constants_equal(const struct constants *a, const struct constants *b)
{
	return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

void constants_put(const struct constants *c, uint64_t address, size_t size, struct buffer *ret)
{
	uint64_t at = address - c->address;

	if (!size || address < c->address || at > c->size || size > c->size - at)
		return;
	buffer_puts(ret, "  {");
	for (size_t i = 0; i < size; i++)
		buffer_printf(ret, "%02x", c->bytes[at + i]);
	buffer_putc(ret, '}');
}
