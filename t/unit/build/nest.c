/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <string.h>

#include "base/buffer.h"
#include "build/nest.h"

static void expect(const char *text, const char *expected)
{
	_cleanup_buffer_ struct buffer seen = BUFFER_NULL;
	struct nest n;

	nest_read(&n, text, strlen(text));
	for (size_t i = 0; i < n.n; i++)
		buffer_printf(&seen, "%s%u:%u-%u:%u", i ? " " : "", n.spans[i].line, n.spans[i].column,
			      n.spans[i].last_line, n.spans[i].last_column);
	cr_expect_str_eq(buffer_text(&seen), expected, "%s: %s", text, buffer_text(&seen));
	nest_fini(&n);
}

Test(nest, loops_have_a_beginning_and_an_end)
{
	expect("void f(void)\n{\n\tfor (;;)\n\t\tg();\n}\n", "3:2-4:7");
	expect("f(){for(;;)while(x){y;}z;}", "1:5-1:24 1:12-1:24");
	expect("f(){do x; while(y); for(a:b);}", "1:5-1:19 1:21-1:30");
	expect("f(){for(;;)if(x)y;else while(z);}", "1:5-1:33 1:24-1:33");
	expect("void f(){g([&]{for(;;);});}", "1:16-1:24");
}

Test(nest, what_only_looks_like_a_loop_is_none)
{
	expect("// for (;;) {\n/* while ( */ char *a = \"for(;;){\", b = '{'; int forest(int do_it);", "");
	expect("#define EACH(x) for (;;) \\\n\t{\nint i = 1'000;\n", "");
}

Test(nest, of_brackets_without_a_mate_nothing_is_known)
{
	expect("f(){for(;;);", "");
	expect("f(){for(;;);}}", "");
	expect("f(){for((;;);}", "");
}

Test(nest, a_place_is_in_the_innermost_loop_around_it)
{
	static const char text[] = "f(){\nfor(;;){\nfor(;;)\nx;\n}\n}\n";
	struct nest n;

	nest_read(&n, text, strlen(text));
	cr_assert_eq(n.n, 2);
	cr_expect_null(nest_find(&n, 1, 1));
	cr_expect_eq(nest_find(&n, 2, 6), &n.spans[0]);
	cr_expect_eq(nest_find(&n, 4, 1), &n.spans[1]);
	cr_expect_eq(nest_find(&n, 5, 1), &n.spans[0]);
	cr_expect_null(nest_find(&n, 6, 1));
	nest_fini(&n);
}
