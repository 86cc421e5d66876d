/* SPDX-License-Identifier: MIT */

/* Whatever a plugin or a compiler writes, a terminal gets characters, colours, and links that end. */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "serve/compiler_text.h"
#include "serve/style.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool is_link(const char *s, size_t size)
{
	return size >= 7 && strncmp(s, "\033]8;;", 5) == 0 && strncmp(s + size - 2, "\033\\", 2) == 0;
}

static bool is_color(const char *s, size_t size)
{
	return size >= 3 && s[1] == '[' && (s[size - 1] == 'm' || s[size - 1] == 'K') &&
	       strspn(s + 2, "0123456789:;<=>? !\"#$%&'()*+,-./") == size - 3;
}

static void check(const struct buffer *b, bool escapes)
{
	const char *s = buffer_text(b);
	size_t n, links = 0;

	for (size_t i = 0; i < b->size; i += n) {
		n = escape_size(s + i, b->size - i);
		links += n && is_link(s + i, n);
		assert(!n || (escapes && (is_link(s + i, n) || is_color(s + i, n))));
		if (n)
			continue;
		n = utf8_size(s + i, b->size - i);
		assert(n && (n > 1 || (s[i] >= 0x20 && s[i] != 0x7f) || s[i] == '\n' || s[i] == '\t'));
		assert(!(n == 2 && (uint8_t)s[i] == 0xc2 && (uint8_t)s[i + 1] < 0xa0));
	}
	assert(links % 2 == 0);
}

static void fold(const struct buffer *text)
{
	_cleanup_buffer_ struct buffer folded = BUFFER_NULL, cut = BUFFER_NULL;

	columns_fold(&folded, buffer_text(text), text->size, 20);
	columns_cut(&cut, buffer_text(text), text->size, 20);
	assert(columns_of(buffer_text(&cut), cut.size) <= 20);
}

static void show(struct style *s, const char *text)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	compiler_text(s, &b, text);
	check(&b, s->color);
	fold(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)bytes, size);
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct style s = { .directory = xstrdup("/a"), .root = xstrdup("/a/b c") };

	style_harmless(&b, (const char *)bytes, size);
	check(&b, false);
	assert(!memchr(buffer_text(&b), '\n', b.size));
	show(&s, text);
	s.color = true;
	s.links = STYLE_LINKS;
	show(&s, text);
	style_fini(&s);
	return 0;
}
