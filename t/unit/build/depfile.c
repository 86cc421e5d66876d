/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "build/depfile.h"
#include "build/words.h"

/* Parses @text and compares with the expected names, '|' between them. */
static void check(const char *text, const char *expected)
{
	struct words w = WORDS_NULL;
	struct buffer joined = BUFFER_NULL;

	cr_assert_eq(depfile_parse(text, strlen(text), &w), 0, "%s", text);
	for (size_t i = 0; i < w.n; i++)
		buffer_printf(&joined, "%s%s", i ? "|" : "", w.at[i]);
	cr_assert_str_eq(buffer_text(&joined), expected, "%s: %s", text, buffer_text(&joined));
	buffer_fini(&joined);
	words_fini(&w);
}

Test(depfile, one_line)
{
	check("a.o: a.c b.h c.h\n", "a.c|b.h|c.h");
	check("a.o: a.c", "a.c");
	check("a.o:\n", "");
}

Test(depfile, lines_are_joined)
{
	check("a.o: a.c \\\n b.h \\\r\n c.h\r\n", "a.c|b.h|c.h");
	check("a.o: \\\n  a.c\\\n b.h\n", "a.c|b.h");
	check("a.o: a.c \\\n\n", "a.c");
}

Test(depfile, names_have_escapes)
{
	check("a.o: x\\ y.c /b\\#2.h d$$1.h\n", "x y.c|/b#2.h|d$1.h");
	check("a.o: back\\slash.h c:\\dir\\x.h\n", "back\\slash.h|c:\\dir\\x.h");
	check("a.o: two\\\\ next.h\n", "two\\|next.h");
	check("a.o: three\\\\\\ x.h\n", "three\\ x.h");
	check("a.o: c\\:/x.h\n", "c:/x.h");
	check("a.o: end\\", "end\\");
}

Test(depfile, targets_may_be_odd)
{
	check("/tmp/a\\ b.o: a.c\n", "a.c");
	check("c:/x/a.o: a.c\n", "a.c");
	check("a.o a.d: a.c\n", "a.c");
	check("a.o : a.c\n", "a.c");
	check("a.o:\\\n a.c\n", "a.c");
}

Test(depfile, several_rules_are_one)
{
	check("a.o: a.c b.h\n\nb.h:\n", "a.c|b.h");
	check("\n\na.o: a.c\nb.o: b.c\n", "a.c|b.c");
}

Test(depfile, names_may_hold_colons)
{
	check("a.o: a:b.h x:\n", "a:b.h|x:");
}

Test(depfile, nonsense_is_refused)
{
	static const char *const texts[] = { "", "\n", "no rule\n", "a.o", "a b c\n" };
	struct words w = WORDS_NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		cr_assert_eq(depfile_parse(texts[i], strlen(texts[i]), &w), -EBADMSG, "%s", texts[i]);
	cr_assert_eq(depfile_parse("a.o: \0b", 7, &w), -EBADMSG);
	words_fini(&w);
}

/* Cut anywhere, it must end and read nothing beyond. */
Test(depfile, any_prefix_is_safe)
{
	const char text[] = "a\\ b.o: a.c \\\n b\\\\\\ c.h \\\r\n $$x\\#y \\:z\\\nb:\n\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n + 1);
		struct words w = WORDS_NULL;

		memcpy(copy, text, n);
		depfile_parse(copy, n, &w);
		words_fini(&w);
		free(copy);
	}
}
