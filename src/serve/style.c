/* SPDX-License-Identifier: MIT */

/*
 * Links are OSC 8. A terminal that doesn't know them should pass over them, and some print them
 * instead, so they are for those that are known to do better, by the variables that they set;
 * TERM_URLS, which gcc obeys, too, says "no" or anything else.
 * What a link to a line looks like nobody has agreed on: a '#' is a mistake to most.
 */

#include "serve/style.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/columns.h"
#include "base/file.h"
#include "base/memory.h"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

bool style_has_color(int fd, bool no_color)
{
	const char *term = variable("TERM");

	return !no_color && !*variable("NO_COLOR") && *term && strcmp(term, "dumb") != 0 && isatty(fd);
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static bool knows_links(void)
{
	static const char *const programs[] = { "iTerm.app", "WezTerm", "ghostty", "Hyper", "rio", NULL };
	static const char *const terms[] = { "alacritty", "foot", "xterm-ghostty", "wezterm", "contour", NULL };

	return strtoul(variable("VTE_VERSION"), NULL, 10) >= 5000 || *variable("KONSOLE_VERSION") || *variable("WT_SESSION") ||
	       is_one_of(variable("TERM_PROGRAM"), programs) || is_one_of(variable("TERM"), terms);
}

static enum style_links links_of_terminal(void)
{
	const char *wish = variable("TERM_URLS");

	if (strcmp(wish, "no") == 0)
		return STYLE_NO_LINKS;
	if (strcmp(variable("TERM_PROGRAM"), "vscode") == 0)
		return STYLE_LINKS_VSCODE;
	if (strcmp(variable("TERM"), "xterm-kitty") == 0)
		return STYLE_LINKS_WITH_LINE;
	return *wish || knows_links() ? STYLE_LINKS : STYLE_NO_LINKS;
}

void style_init(struct style *s, int fd, const char *root, bool no_color)
{
	*s = (struct style){ .color = style_has_color(fd, no_color) };
	s->links = s->color ? links_of_terminal() : STYLE_NO_LINKS;
	s->directory = getcwd(NULL, 0);
	s->root = root ? realpath(root, NULL) : NULL;
	if (gethostname(s->host, sizeof(s->host) - 1) < 0)
		s->host[0] = '\0';
}

void style_fini(struct style *s)
{
	free(s->directory);
	free(s->root);
	*s = (struct style){ .color = false };
}

const char *style_code(const struct style *s, const char *code)
{
	return s->color ? code : "";
}

/* Phrases */

/* C0 but the tab, DEL, and C1, which is two bytes. */
static bool is_control(const char *s, size_t size)
{
	unsigned char c = (unsigned char)s[0];

	return (c < 0x20 && c != '\t') || c == 0x7f || (size == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void style_harmless(struct buffer *b, const char *text, size_t size)
{
	for (size_t i = 0, n; i < size; i += n) {
		n = escape_size(text + i, size - i);
		if (n)
			continue;
		n = utf8_size(text + i, size - i);
		if (n && !is_control(text + i, n)) {
			buffer_append(b, text + i, n);
		} else {
			buffer_putc(b, '?');
			n = n ? n : 1;
		}
	}
}

void style_sentence(struct buffer *b, const char *text)
{
	_cleanup_free_ char *line = xstrdup(text);
	size_t size = strlen(line);

	while (size && strchr("\n .", line[size - 1]))
		size--;
	for (size_t i = 0; i < size; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	style_harmless(b, line, size);
}

void style_head(const struct style *s, struct buffer *b, const char *name)
{
	time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
	struct tm local;
	char text[16];

	localtime_r(&now, &local);
	strftime(text, sizeof(text), "%H:%M:%S", &local);
	buffer_printf(b, "%s%s%s %s%s%s  ", DIM(s), text, PLAIN(s), BOLD(s), name ? name : "devserve", PLAIN(s));
}

void style_ms(struct buffer *b, uint64_t ns)
{
	buffer_printf(b, "%.*f", ns < NS_PER_MS ? 1 : 0, (double)ns / NS_PER_MS);
}

void style_duration(struct buffer *b, uint64_t ns)
{
	if (ns < 10 * NS_PER_S) {
		style_ms(b, ns);
		buffer_puts(b, " ms");
	} else {
		buffer_printf(b, "%.1f s", (double)ns / NS_PER_S);
	}
}

/* Paths */

static const char *part_below(const char *path, const char *directory)
{
	size_t n = directory ? strlen(directory) : 0;

	if (n == 1) /* "/" */
		n = 0;
	return n && path_is_below(path, directory) && path[n] == '/' && path[n + 1] ? path + n + 1 : NULL;
}

const char *style_short(const struct style *s, const char *path)
{
	const char *below = part_below(path, s->directory);

	if (!below)
		below = part_below(path, s->root);
	return below ? below : path;
}

static void put_escaped(struct buffer *b, const char *path)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c > 0x20 && c < 0x7f && !strchr("%#?;", c))
			buffer_putc(b, *path);
		else
			buffer_printf(b, "%%%02X", c);
	}
}

static void put_target(const struct style *s, struct buffer *b, const char *path, unsigned line,
		       unsigned column)
{
	if (s->links == STYLE_LINKS_VSCODE)
		buffer_puts(b, "vscode://file");
	else
		buffer_printf(b, "file://%s", s->host);
	put_escaped(b, path);
	if (line && s->links == STYLE_LINKS_WITH_LINE)
		buffer_printf(b, "#%u", line);
	if (line && s->links == STYLE_LINKS_VSCODE)
		buffer_printf(b, ":%u:%u", line, column ? column : 1);
}

void style_link(const struct style *s, struct buffer *b, const char *shown, const char *path,
		unsigned line, unsigned column)
{
	if (s->links == STYLE_NO_LINKS || *path != '/') {
		buffer_puts(b, shown);
		return;
	}
	buffer_puts(b, "\033]8;;");
	put_target(s, b, path, line, column);
	buffer_printf(b, "\033\\%s\033]8;;\033\\", shown);
}

void style_place(const struct style *s, struct buffer *b, const char *path, unsigned line,
		 unsigned column)
{
	_cleanup_buffer_ struct buffer shown = BUFFER_NULL;
	const char *part = style_short(s, path);

	style_harmless(&shown, part, strlen(part));
	if (line)
		buffer_printf(&shown, ":%u", line);
	if (line && column)
		buffer_printf(&shown, ":%u", column);
	style_link(s, b, buffer_text(&shown), path, line, column);
}
