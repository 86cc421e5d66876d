/* SPDX-License-Identifier: MIT */
#include "cli/assembly.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/capture.h"
#include "cli/operand.h"
#include "command/command.h"

#define PATIENCE_MS 30000
#define MOST ((size_t)64 << 20)

/* What the linker and the C runtime put into every image. */
static bool is_ours(const char *name)
{
	static const char *const others[] = { "_init", "_fini", "deregister_tm_clones", "register_tm_clones",
					      "__do_global_dtors_aux", "frame_dummy" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(name, others[i]) == 0)
			return false;
	return !strstr(name, "@plt");
}

/* "0000000000000510 <infer>:" */
static char *name_of_head(const char *line, size_t size)
{
	const char *open = memchr(line, '<', size);

	if (!open || size < 3 || line[size - 1] != ':' || line[size - 2] != '>' || !isxdigit((unsigned char)line[0]))
		return NULL;
	return xstrndup(open + 1, (size_t)(line + size - 2 - (open + 1)));
}

static bool is_hex(const char *s, size_t n)
{
	while (n && isxdigit((unsigned char)*s))
		s++, n--;
	return n == 0;
}

/* The target of a jump: a place of this function by nothing, another function by its name. */
static void put_target(struct buffer *b, const char *open, const char *close, const char *own)
{
	size_t size = (size_t)(close - open) - 1;
	const char *plus = memchr(open, '+', (size_t)(close - open));

	if (strncmp(open + 1, own, strlen(own)) == 0 && (open[1 + strlen(own)] == '+' || open[1 + strlen(own)] == '>'))
		buffer_puts(b, "<.>");
	else
		buffer_printf(b, "<%.*s>", (int)(plus ? (size_t)(plus - open) - 1 : size), open + 1);
}

/* "jne    5a8 <infer+0x98>", "mov    0x2abc(%rip),%rax        # 3fc8 <x>" */
static void put_instruction(struct buffer *b, const struct constants *constants, const char *at, size_t size,
			    const char *own)
{
	const char *end = at + size, *comment = memmem(at, size, "# ", 2), *rip = memmem(at, size, "(%rip)", 6);
	const char *open = memchr(at, '<', size), *close = open ? memrchr(open, '>', (size_t)(end - open)) : NULL;
	const char *stop = comment ? comment : open ? open : end, *const begin = at;

	while (stop > at && isspace((unsigned char)stop[-1]))
		stop--;
	if (open && !comment) { /* the address before the name */
		const char *word = stop;

		while (word > at && !isspace((unsigned char)word[-1]))
			word--;
		if (is_hex(word, (size_t)(stop - word)))
			stop = word;
	}
	if (rip && rip < stop) {
		const char *word = rip;

		while (word > at && (isxdigit((unsigned char)word[-1]) || word[-1] == 'x' || word[-1] == '-'))
			word--;
		buffer_append(b, at, (size_t)(word - at));
		at = rip;
	}
	buffer_append(b, at, (size_t)(stop - at));
	if (open && close && !comment)
		put_target(b, open, close, own);
	else if (open && close && !memchr(open, '+', (size_t)(close - open))) /* else it's what happens to lie before */
		buffer_printf(b, "  %.*s", (int)(close + 1 - open), open);
	if (rip && comment)
		constants_put(constants, strtoull(comment + 2, NULL, 16), operand_width(begin, (size_t)(comment - begin)), b);
	buffer_putc(b, '\n');
}

struct reading {
	struct assembly code;
	char *name; /* of the function that is being read; NULL: none that counts */
	struct buffer text;
	size_t n;
};

static void end_function(struct reading *r)
{
	struct assembly *c = &r->code;

	if (r->name) {
		c->functions = xrealloc(c->functions, (c->n + 1) * sizeof(*c->functions));
		c->functions[c->n++] = (struct assembly_function){ .name = r->name, .n = r->n,
							       .text = r->text.size ? buffer_steal(&r->text) : xstrdup("") };
	}
	r->name = NULL;
	r->n = 0;
	buffer_reset(&r->text);
}

static bool is_padding(const char *at, size_t size)
{
	static const char *const words[] = { "nop", "cs nop", "data16", "xchg   %ax,%ax" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (size >= strlen(words[i]) && strncmp(at, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

static void take_line(struct reading *r, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size), *at, *end = line + size;

	if (!size || isxdigit((unsigned char)line[0])) {
		char *name = name_of_head(line, size);

		end_function(r);
		if (name && is_ours(name))
			r->name = name;
		else
			free(name);
		return;
	}
	if (!r->name || line[0] != ' ' || !colon)
		return;
	for (at = colon + 1; at < end && isspace((unsigned char)*at);)
		at++;
	if (at == end || is_padding(at, (size_t)(end - at)))
		return;
	put_instruction(&r->text, &r->code.constants, at, (size_t)(end - at), r->name);
	r->n++;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct assembly_function *)a)->name, ((const struct assembly_function *)b)->name);
}

int assembly_read(const char *image, struct assembly *ret, struct buffer *why)
{
	const char *argv[] = { "objdump", "-d", "-C", "-w", "--no-show-raw-insn", "-j", ".text", image, NULL };
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct reading reading = { .name = NULL };
	int r = capture_all(argv, "", PATIENCE_MS, MOST, &text);

	if (r != 0) {
		if (r < 0)
			buffer_printf(why, "cannot run objdump: %s; it is in binutils", strerror(-r));
		else
			buffer_printf(why, "objdump: %.*s", (int)strcspn(buffer_text(&text), "\n"), buffer_text(&text));
		return EXIT_FAILURE;
	}
	constants_read(image, &reading.code.constants);
	for (const char *line = buffer_text(&text), *end; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		take_line(&reading, line, (size_t)(end - line));
	}
	end_function(&reading);
	buffer_fini(&reading.text);
	if (reading.code.n)
		qsort(reading.code.functions, reading.code.n, sizeof(*reading.code.functions), by_name);
	*ret = reading.code;
	return 0;
}

void assembly_fini(struct assembly *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->functions[i].name);
		free(c->functions[i].text);
	}
	free(c->functions);
	constants_fini(&c->constants);
	*c = (struct assembly)ASSEMBLY_NULL;
}

const struct assembly_function *assembly_find(const struct assembly *c, const char *name)
{
	const struct assembly_function key = { .name = (char *)(uintptr_t)name };

	return c->n ? bsearch(&key, c->functions, c->n, sizeof(*c->functions), by_name) : NULL;
}
