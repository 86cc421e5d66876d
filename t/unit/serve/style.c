/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "serve/compiler_text.h"
#include "serve/style.h"

static struct style plain_style(void)
{
	return (struct style){ .directory = xstrdup("/home/ada"), .root = xstrdup("/home/ada/my plugins") };
}

static void prints(const struct style *s, const char *text, const char *expected)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	compiler_text(s, &b, text);
	cr_expect_str_eq(buffer_text(&b), expected);
}

Test(style, paths_are_shown_from_where_one_works_or_from_the_root)
{
	struct style s = plain_style();

	cr_expect_str_eq(style_short(&s, "/home/ada/my plugins/m/m.c"), "my plugins/m/m.c");
	cr_expect_str_eq(style_short(&s, "/usr/include/stdio.h"), "/usr/include/stdio.h");
	cr_expect_str_eq(style_short(&s, "/home/ada"), "/home/ada");
	cr_expect_str_eq(style_short(&s, "/home/adam/x"), "/home/adam/x");
	free(s.directory);
	s.directory = xstrdup("/");
	cr_expect_str_eq(style_short(&s, "/home/ada/my plugins/m/m.c"), "m/m.c");
	style_fini(&s);
}

Test(style, a_place_is_a_link_where_there_are_links)
{
	struct style s = plain_style();
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	style_place(&s, &b, "/home/ada/my plugins/m.c", 3, 5);
	cr_expect_str_eq(b.data, "my plugins/m.c:3:5");
	memcpy(s.host, "box", 4);
	s.links = STYLE_LINKS;
	buffer_reset(&b);
	style_place(&s, &b, "/home/ada/my plugins/m.c", 3, 0);
	cr_expect_str_eq(b.data, "\033]8;;file://box/home/ada/my%20plugins/m.c\033\\my plugins/m.c:3\033]8;;\033\\");
	s.links = STYLE_LINKS_WITH_LINE;
	buffer_reset(&b);
	style_place(&s, &b, "/m.c", 3, 5);
	cr_expect_str_eq(b.data, "\033]8;;file://box/m.c#3\033\\/m.c:3:5\033]8;;\033\\");
	s.links = STYLE_LINKS_VSCODE;
	buffer_reset(&b);
	style_place(&s, &b, "/m.c", 3, 0);
	cr_expect_str_eq(b.data, "\033]8;;vscode://file/m.c:3:1\033\\/m.c:3\033]8;;\033\\");
	style_fini(&s);
}

Test(compiler_text, is_as_the_compiler_wrote_it)
{
	struct style s = plain_style();

	prints(&s, NULL, "");
	prints(&s, "cc1: error: out of luck\n   37 | int /home/ada/x:3; y\n      |     ^\nno newline",
	       "cc1: error: out of luck\n   37 | int /home/ada/x:3; y\n      |     ^\nno newline\n");
	style_fini(&s);
}

Test(compiler_text, paths_in_it_are_shortened)
{
	struct style s = plain_style();

	prints(&s, "/home/ada/my plugins/m/m.c:37:9: error: y\n", "my plugins/m/m.c:37:9: error: y\n");
	prints(&s, "In file included from /home/ada/a.h:3,\n                 from /home/ada/b.c:1:\n",
	       "In file included from a.h:3,\n                 from b.c:1:\n");
	prints(&s, "/home/ada/k.cu(12): error: z\n", "k.cu(12): error: z\n");
	prints(&s, "/usr/bin/ld.gold: /x y/z.o: no\n", "/usr/bin/ld.gold: /x y/z.o: no\n");
	prints(&s, "/home/ada/m.c: In function ‘infer’:\n", "m.c: In function ‘infer’:\n");
	prints(&s, "see a/home/ada/b:3\n", "see a/home/ada/b:3\n");
	style_fini(&s);
}

#define GCC "\033[01m\033[K/home/ada/m.c:37:9:\033[m\033[K \033[01;31m\033[Kerror: \033[m\033[Ky\n"

Test(compiler_text, keeps_its_colours_and_gets_links)
{
	struct style s = plain_style();

	prints(&s, GCC, "m.c:37:9: error: y\n");
	s.color = true;
	s.links = STYLE_LINKS;
	prints(&s, GCC,
	       "\033[01m\033[K\033]8;;file:///home/ada/m.c\033\\m.c:37:9\033]8;;\033\\:\033[m\033[K "
	       "\033[01;31m\033[Kerror: \033[m\033[Ky\n");
	style_fini(&s);
}

Test(compiler_text, cannot_move_the_cursor)
{
	struct style s = plain_style();

	s.color = true;
	prints(&s, "m.c: error: #error \033[2J\033]0;title\a\033[1A\rx\n", "m.c: error: #error ?x\n");
	prints(&s, "/home/ada/\b\xff.c:3:4: /home/ada/\033[5;5Hx.c: y\n", "??.c:3:4: /home/ada/x.c: y\n");
	prints(&s, "   37 | \"\033[5;5H\b\"\r\n", "   37 | \"?\"\n");
	style_fini(&s);
}
