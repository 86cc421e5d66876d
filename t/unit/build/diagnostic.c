/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buffer.h"
#include "build/diagnostic.h"

/* "FILE:LINE:COLUMN SEVERITY MESSAGE" for each, a newline between them. */
static void check(const char *text, const char *expected)
{
	struct diagnostics d = DIAGNOSTICS_NULL;
	struct buffer b = BUFFER_NULL;

	diagnostics_parse(&d, text, "/dir");
	for (size_t i = 0; i < d.n; i++)
		buffer_printf(&b, "%s%s:%u:%u %s %s", i ? "\n" : "",
			      d.at[i].file ? d.at[i].file : "-", d.at[i].line, d.at[i].column,
			      d.at[i].severity, d.at[i].message);
	cr_assert_str_eq(buffer_text(&b), expected, "%s\n%s", text, buffer_text(&b));
	buffer_fini(&b);
	diagnostics_fini(&d);
}

Test(diagnostic, gcc)
{
	check("/p/a.c: In function 'f':\n"
	      "/p/a.c:3:17: error: expected ';' before '}' token\n"
	      "    3 |         return 1 // error: no\n"
	      "      |                 ^\n"
	      "a.c:7:5: warning: unused variable 'x' [-Wunused-variable]\n"
	      "/p/a.c:8:1: note: declared here\n",
	      "/p/a.c:3:17 error expected ';' before '}' token\n"
	      "/dir/a.c:7:5 warning unused variable 'x' [-Wunused-variable]\n"
	      "/p/a.c:8:1 note declared here");
}

Test(diagnostic, fatal_errors_are_errors)
{
	check("In file included from /p/a.c:1:\n"
	      "/p/b.h:2:10: fatal error: c.h: No such file or directory\ncompilation terminated.\n",
	      "/p/b.h:2:10 error c.h: No such file or directory");
	check("cc1: fatal error: /p/x.c: No such file or directory\n",
	      "/p/x.c:0:0 error No such file or directory");
	check("/p/a.cc:1:1: internal compiler error: Segmentation fault\n",
	      "/p/a.cc:1:1 error Segmentation fault");
	check("cc1: out of memory allocating 65536 bytes\n", "");
}

Test(diagnostic, colours_are_no_part_of_it)
{
	check("\033[01m\033[K/p/a.c:1:2:\033[m\033[K \033[01;31m\033[Kerror: \033[m\033[Kno "
	      "'\033[01m\033[Kx\033[m\033[K' [\033]8;;http://x\033\\-Wall\033]8;;\033\\]\n",
	      "/p/a.c:1:2 error no 'x' [-Wall]");
	check("\033]8;;http://x\a/p/a.c\033]8;;\a:1: error: e\n", "/p/a.c:1:0 error e");
	check("/p/a.c:1: error: cut \033[01", "/p/a.c:1:0 error cut ");
	check("/p/a.c:1: error: cut \033", "/p/a.c:1:0 error cut ");
}

Test(diagnostic, assembler)
{
	check("/p/a.S: Assembler messages:\n/p/a.S:2: Error: no such instruction: `bogus %eax'\n"
	      "{standard input}:9: Warning: odd\n",
	      "/p/a.S:2:0 error no such instruction: `bogus %eax'\n-:9:0 warning odd");
}

Test(diagnostic, linkers)
{
	check("/p/a.c:5: error: undefined reference to 'g'\n", "/p/a.c:5:0 error undefined reference to 'g'");
	check("/s/x.o:a.c:function f: error: undefined reference to 'g'\n",
	      "-:0:0 error undefined reference to 'g'");
	check("/usr/bin/ld.gold: error: /s/a.o: multiple definition of 'f'\n",
	      "/s/a.o:0:0 error multiple definition of 'f'");
	check("/usr/bin/ld: cannot find -lnope: No such file or directory\n"
	      "collect2: error: ld returned 1 exit status\n",
	      "-:0:0 error cannot find -lnope: No such file or directory");
	check("collect2: error: ld returned 1 exit status\n", "-:0:0 error ld returned 1 exit status");
	check("ld.bfd: u.o: in function `f':\n/p/a.c:3: undefined reference to `g'\n",
	      "/p/a.c:3:0 error undefined reference to `g'");
	check("/usr/bin/ld: u.o: in function `f':\n/p/a.c:3:(.text+0x1): undefined reference to `g'\n",
	      "/p/a.c:3:0 error undefined reference to `g'");
	check("/p/a.c:3: undefined reference to `g'\n/p/a.c:3: undefined reference to `g'\n/p/a.c:4: undefined reference to `g'\n",
	      "/p/a.c:3:0 error undefined reference to `g'\n/p/a.c:4:0 error undefined reference to `g'");
	check("/usr/bin/ld: warning: a.o: missing .note.GNU-stack section\n",
	      "-:0:0 warning a.o: missing .note.GNU-stack section");
	check("collect2: error: ld returned 1 exit status\n", "-:0:0 error ld returned 1 exit status");
}

Test(diagnostic, nvcc)
{
	check("/p/a.cu(2): error: identifier \"two\" is undefined\n"
	      "/p/a.cu(3): warning #177-D: variable \"x\" was declared but never referenced\n"
	      "ptxas error   : Entry function 'k' uses too much shared data\n"
	      "ptxas fatal   : Ptx assembly aborted due to errors\n"
	      "nvcc fatal   : Unsupported gpu architecture 'sm_10'\n",
	      "/p/a.cu:2:0 error identifier \"two\" is undefined\n"
	      "/p/a.cu:3:0 warning variable \"x\" was declared but never referenced\n"
	      "-:0:0 error Entry function 'k' uses too much shared data\n"
	      "-:0:0 error Unsupported gpu architecture 'sm_10'");
}

Test(diagnostic, clang)
{
	check("/p/a.c:1:10: fatal error: 'gone.h' file not found\n#include \"gone.h\"\n         ^~~~~~~~\n"
	      "1 error generated.\nclang: error: unknown argument: '-x'\n",
	      "/p/a.c:1:10 error 'gone.h' file not found\n-:0:0 error unknown argument: '-x'");
}

Test(diagnostic, our_own_sentences)
{
	check("error: gcc was stopped after 120 s\n", "-:0:0 error gcc was stopped after 120 s");
	check("note: linked in full by cc: x\n", "-:0:0 note linked in full by cc: x");
}

Test(diagnostic, files_may_have_odd_names)
{
	check("/p/a b/x y.c:1:2: error: e\n", "/p/a b/x y.c:1:2 error e");
	check("/p/12:3/a.c:1:2: error: e: 3\n", "/p/12:3/a.c:1:2 error e: 3");
	check("<command-line>: warning: w\n", "-:0:0 warning w");
	check(": error: \n\n:1: error: x", "-:0:0 error \n-:0:0 error x");
}

/* Cut anywhere, it must end and read nothing beyond. */
Test(diagnostic, any_prefix_is_safe)
{
	const char text[] = "\033[1m/p/a.cu(2)\033]8;;\033\\: warning #177-D: w\na:1:2: error: e\033";

	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = strndup(text, n);
		struct diagnostics d = DIAGNOSTICS_NULL;

		diagnostics_parse(&d, copy, "/dir");
		diagnostics_fini(&d);
		free(copy);
	}
}
