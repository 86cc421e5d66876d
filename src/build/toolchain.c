/* SPDX-License-Identifier: MIT */

/*
 * A compiler is known by its path, size and mtime and those of the assembler and the
 * linkers: an upgrade changes them together. The CPU is part of it, since -march=native is.
 */

#include "build/toolchain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/driver.h"
#include "build/program.h"

/* Changes when the meaning of what lies in the store does. */
#define REVISION "1"

bool compiler_use(struct compiler *c, const char *command)
{
	_cleanup_words_ struct words words = WORDS_NULL;
	_cleanup_free_ char *program = NULL;

	words_split(&words, command ? command : "");
	program = words.n ? program_find(words.at[0]) : NULL;
	if (!program)
		return false;
	words_add(&c->command, program);
	for (size_t i = 1; i < words.n; i++)
		words_add(&c->command, words.at[i]);
	return true;
}

static bool use_first(struct compiler *c, const char *const *names)
{
	for (; *names; names++)
		if (compiler_use(c, *names))
			return true;
	return false;
}

/* CC=clang-14 alone means clang++-14, too. */
static char *sibling(const char *cc)
{
	const char *at = cc ? strstr(cc, "clang") : NULL;

	if (at && strncmp(at, "clang++", 7) != 0)
		return xasprintf("%.*s++%s", (int)(at + 5 - cc), cc, at + 5);
	at = cc ? strstr(cc, "gcc") : NULL;
	return at ? xasprintf("%.*sg++%s", (int)(at - cc), cc, at + 3) : NULL;
}

/* An unknown name of a compiler is an error of the user's, not a reason to take another. */
static void find_compilers(struct toolchain *t)
{
	const char *cc = getenv("CC"), *cxx = getenv("CXX");
	_cleanup_free_ char *other = cxx && *cxx ? NULL : sibling(cc);

	if (cc && *cc)
		compiler_use(&t->cc, cc);
	else
		use_first(&t->cc, (const char *const[]){ "gcc", "cc", "clang", NULL });
	if (cxx && *cxx)
		compiler_use(&t->cxx, cxx);
	else if (!compiler_use(&t->cxx, other))
		use_first(&t->cxx, (const char *const[]){ "g++", "c++", "clang++", NULL });
	cuda_find(&t->cuda);
}

/* The first CPU's description, without what changes from moment to moment. */
static void add_cpu(struct hash_state *s)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *line, *end;

	file_read("/proc/cpuinfo", &text);
	for (line = buffer_text(&text); *line && *line != '\n'; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (strncmp(line, "model", 5) == 0 || strncmp(line, "flags", 5) == 0 ||
		    strncmp(line, "vendor", 6) == 0 || strncmp(line, "cpu family", 10) == 0 ||
		    strncmp(line, "CPU ", 4) == 0 || strncmp(line, "Features", 8) == 0)
			hash_state_add(s, line, (size_t)(end - line));
	}
}

/* A list of paths, without those that come again: the first is where things are found. */
static void add_paths(struct hash_state *s, const char *list)
{
	for (const char *at = list, *end; at; at = *end ? end + 1 : NULL) {
		const char *before = list;

		end = strchrnul(at, ':');
		while (before < at && (strncmp(before, at, (size_t)(end - at)) != 0 || (before[end - at] != ':')))
			before = strchr(before, ':') + 1;
		if (before < at)
			continue;
		hash_state_add(s, at, (size_t)(end - at));
		hash_state_add(s, ":", 1);
	}
}

static struct hash hash_machine(void)
{
	static const char *const names[] = { "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH",
					     "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX" };
	struct hash_state *s = hash_state_new();

	hash_state_add_string(s, REVISION);
	add_cpu(s);
	cuda_add_gpus(s);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		add_paths(s, value ? value : "");
		hash_state_add_string(s, "");
	}
	return hash_state_end(s);
}

/*
 * -fno-var-tracking-assignments: types, lines and functions stay in the debug information,
 * and of local variables the places that need no tracking through the optimiser, which
 * would cost 9 % of each save. -fno-gnu-unique: a unique symbol can never be unloaded.
 *
 * Functions and loops begin where cache lines do. Else a line that is added somewhere moves the loops
 * behind it, and an unchanged kernel is 10 or 30 % faster or slower for it (src/verdict/ is about that).
 */
static void set_flags(const struct toolchain *t, struct compiler *c, bool cxx)
{
	struct words *f = &c->flags;

	words_fini(f);
	words_add_list(f, "-O3", "-g", NULL);
#if defined(__x86_64__) || defined(__aarch64__)
	words_add(f, "-march=native");
#endif
	if (c->family != FAMILY_OTHER)
		words_add_list(f, "-falign-functions=64", "-falign-loops=64", NULL);
	if (c->family == FAMILY_GCC)
		words_add_list(f, "-fno-var-tracking-assignments", "-fno-gnu-unique", NULL);
	words_add_list(f, "-fPIC", "-fvisibility=hidden", "-Wall", NULL);
	if (c->family != FAMILY_OTHER)
		words_add(f, "-fdiagnostics-color=always");
	if (cxx)
		words_add(f, "-std=gnu++20");
	words_add_list(f, "-I", DRIVER_OWN, "-I", t->root, "-I", t->include_dir,
		       NULL);
	if (t->cuda.root) { /* looked at for what is nowhere else: costs nothing */
		words_add(f, "-idirafter");
		words_printf(f, "%s/include", t->cuda.root);
	}
}

/* Which flags a compiler gets is known once it has been asked; this is of all it may get. */
static struct hash hash_flags(struct toolchain *t)
{
	struct compiler c = { .family = FAMILY_OTHER };
	struct hash_state *s = hash_state_new();

	for (int family = FAMILY_OTHER; family <= FAMILY_CLANG; family++) {
		c.family = (enum family)family;
		set_flags(t, &c, true);
		for (size_t i = 0; i < c.flags.n; i++)
			hash_state_add_string(s, c.flags.at[i]);
	}
	words_fini(&c.flags);
	return hash_state_end(s);
}

static void identify(struct compiler *c, struct hash machine, struct hash flags)
{
	static const char *const helpers[] = { "as", "ld", "ld.gold", "ld.bfd" };
	struct hash_state *s = hash_state_new();

	hash_state_add(s, &machine, sizeof(machine));
	hash_state_add(s, &flags, sizeof(flags));
	for (size_t i = 0; i < c->command.n; i++) {
		hash_state_add_string(s, c->command.at[i]);
		if (i == 0 || strchr(c->command.at[i], '/'))
			identity_add(s, c->command.at[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
		_cleanup_free_ char *path = program_find(helpers[i]);

		identity_add(s, path ? path : "");
	}
	c->identity = hash_state_end(s);
}

static const char *name_of(const struct compiler *c, bool cxx)
{
	if (c->family == FAMILY_GCC)
		return cxx ? "g++" : "gcc";
	if (c->family == FAMILY_CLANG)
		return cxx ? "clang++" : "clang";
	return path_name(c->command.at[0]);
}

/* Until it has been asked: what compile_commands.json needs, and enough for that. */
static void guess_compiler(const struct toolchain *t, struct compiler *c, bool cxx)
{
	if (!c->command.n)
		return;
	c->family = strstr(c->command.at[0], "clang") ? FAMILY_CLANG : FAMILY_GCC;
	c->name = name_of(c, cxx);
	set_flags(t, c, cxx);
}

void toolchain_init(struct toolchain *t, const char *include_dir, const char *root)
{
	struct hash flags;

	*t = (struct toolchain){ .machine = hash_machine(), .include_dir = xstrdup(include_dir),
				 .root = xstrdup(root) };
	find_compilers(t);
	flags = hash_flags(t);
	identify(&t->cc, t->machine, flags);
	identify(&t->cxx, t->machine, flags);
	guess_compiler(t, &t->cc, false);
	guess_compiler(t, &t->cxx, true);
	toolchain_set_device(t, "");
}

void compiler_fini(struct compiler *c)
{
	words_fini(&c->command);
	words_fini(&c->flags);
	words_fini(&c->cc1);
	words_fini(&c->as);
}

void toolchain_fini(struct toolchain *t)
{
	compiler_fini(&t->cc);
	compiler_fini(&t->cxx);
	cuda_fini(&t->cuda);
	linking_fini(&t->linking);
	free(t->include_dir);
	free(t->root);
	*t = (struct toolchain){ .root = NULL };
}

struct compiler *toolchain_compiler(struct toolchain *t, enum language l)
{
	struct compiler *c = l == LANGUAGE_CUDA ? &t->cuda.nvcc : l == LANGUAGE_DEVICE ? &t->cuda.nvrtc :
			     l == LANGUAGE_CXX ? &t->cxx : &t->cc;

	return c->command.n ? c : NULL;
}

/* "gcc version 12.2.0 (Debian 12.2.0-14)", "Debian clang version 14.0.6" */
static void learn_version(struct compiler *c, const char *answer)
{
	const char *at = strstr(answer, " version ");

	if (!at)
		return;
	while (at > answer && at[-1] != '\n')
		at--;
	snprintf(c->version, sizeof(c->version), "%.*s", (int)strcspn(at, "\n"), at);
	while (c->version[0] && c->version[strlen(c->version) - 1] == ' ')
		c->version[strlen(c->version) - 1] = '\0';
}

static void learn_compiler(const struct toolchain *t, struct compiler *c, const char *answer,
			   bool cxx)
{
	if (driver_is_clang(answer))
		c->family = FAMILY_CLANG;
	else if (driver_read_compile(answer, &c->cc1, &c->as))
		c->family = FAMILY_GCC;
	else
		c->family = FAMILY_OTHER;
	c->name = name_of(c, cxx);
	learn_version(c, answer);
	set_flags(t, c, cxx);
}

void toolchain_set_device(struct toolchain *t, const char *answer)
{
	cuda_learn(&t->cuda, answer, &t->cxx, t->root, t->include_dir, t->machine);
}

void toolchain_learn(struct toolchain *t, const char *cc, const char *cxx, const char *link)
{
	if (t->cc.command.n)
		learn_compiler(t, &t->cc, cc, false);
	if (t->cxx.command.n)
		learn_compiler(t, &t->cxx, cxx, true);
	linking_learn(&t->linking, link);
}

void toolchain_gcc_flags(const struct toolchain *t, bool cxx, struct words *ret)
{
	struct compiler gcc = { .family = FAMILY_GCC };

	set_flags(t, &gcc, cxx);
	words_add_all(ret, &gcc.flags);
	words_fini(&gcc.flags);
}
