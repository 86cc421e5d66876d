/* SPDX-License-Identifier: MIT */

/*
 * Three questions are asked, all with -###, which answers without compiling: what does `cc`
 * run for a C source, what does `c++` run for a C++ source, what does `cc` run to link. The
 * answers are kept verbatim under a hash of the question and of the programs, so that a warm
 * start runs no compiler; they are read anew each time, which takes microseconds.
 *
 * A driver is known by its path, size and mtime and those of the assembler and the linkers:
 * an upgrade changes them together. The CPU is part of it, since -march=native is.
 */

#include "build/toolchain.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/driver.h"
#include "build/job.h"
#include "build/store.h"

/* Changes when the meaning of what lies in the store does. */
#define REVISION "1"

void identity_add(struct hash_state *s, const char *path)
{
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st) < 0) {
		hash_state_add_string(s, "");
		return;
	}
	hash_state_add_string(s, real);
	hash_state_add(s, &st.st_size, sizeof(st.st_size));
	hash_state_add(s, &st.st_mtim.tv_sec, sizeof(st.st_mtim.tv_sec));
	hash_state_add(s, &st.st_mtim.tv_nsec, sizeof(st.st_mtim.tv_nsec));
}

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0 && !file_is_directory(path);
}

/* As execvp() finds it; free(), or NULL. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return is_program(name) ? xstrdup(name) : NULL;
	for (const char *end; path && *path; path = *end ? end + 1 : end) {
		char *program;

		end = strchrnul(path, ':');
		program = xasprintf("%.*s/%s", (int)(end - path), path, name);
		if (*program == '/' && is_program(program))
			return program;
		free(program);
	}
	return NULL;
}

/* Make @c run @command, if its first word is a program. */
static bool use(struct compiler *c, const char *command)
{
	_cleanup_words_ struct words words = WORDS_NULL;
	_cleanup_free_ char *program = NULL;

	words_split(&words, command ? command : "");
	program = words.n ? find_program(words.at[0]) : NULL;
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
		if (use(c, *names))
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

static void find_nvcc(struct compiler *c)
{
	const char *home = getenv("CUDA_HOME");
	_cleanup_free_ char *at_home = home ? xasprintf("%s/bin/nvcc", home) : NULL;

	if (!use(c, getenv("NVCC")) && !use(c, at_home))
		use_first(c, (const char *const[]){ "nvcc", "/usr/local/cuda/bin/nvcc", NULL });
}

/* An unknown name of a compiler is an error of the user's, not a reason to take another. */
static void find_compilers(struct toolchain *t)
{
	const char *cc = getenv("CC"), *cxx = getenv("CXX");
	_cleanup_free_ char *other = cxx && *cxx ? NULL : sibling(cc);

	if (cc && *cc)
		use(&t->cc, cc);
	else
		use_first(&t->cc, (const char *const[]){ "gcc", "cc", "clang", NULL });
	if (cxx && *cxx)
		use(&t->cxx, cxx);
	else if (!use(&t->cxx, other))
		use_first(&t->cxx, (const char *const[]){ "g++", "c++", "clang++", NULL });
	find_nvcc(&t->nvcc);
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

static struct hash hash_machine(void)
{
	static const char *const names[] = { "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH",
					     "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX" };
	struct hash_state *s = hash_state_new();

	hash_state_add_string(s, REVISION);
	add_cpu(s);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		hash_state_add_string(s, value ? value : "");
	}
	return hash_state_end(s);
}

/*
 * -fno-var-tracking-assignments: types, lines and functions stay in the debug information,
 * and of local variables the places that need no tracking through the optimiser, which
 * would cost 9 % of each save. -fno-gnu-unique: a unique symbol can never be unloaded.
 */
static void add_flags(const struct toolchain *t, struct compiler *c, bool cxx)
{
	struct words *f = &c->flags;

	words_fini(f);
	words_add_list(f, "-O3", "-g", NULL);
#if defined(__x86_64__) || defined(__aarch64__)
	words_add(f, "-march=native");
#endif
	if (c->family == FAMILY_GCC)
		words_add_list(f, "-fno-var-tracking-assignments", "-fno-gnu-unique", NULL);
	words_add_list(f, "-fPIC", "-fvisibility=hidden", "-Wall", NULL);
	if (c->family != FAMILY_OTHER)
		words_add(f, "-fdiagnostics-color=always");
	if (cxx)
		words_add(f, "-std=gnu++20");
	words_add_list(f, "-I", DRIVER_OWN, "-I", t->root, "-I", t->include_dir,
		       NULL);
}

/* The host compiler of nvcc gets through -Xcompiler what a C++ source would. */
static void add_cuda_flags(struct toolchain *t)
{
	struct words *f = &t->nvcc.flags;

	t->nvcc.family = FAMILY_NVCC;
	t->nvcc.name = "nvcc";
	words_fini(f);
	words_add_list(f, "-O3", "-g", "-lineinfo", "-std=c++20", NULL);
	words_add(f, t->has_gpu ? "-arch=native" : "-arch=sm_80");
	words_add_list(f, "-Xcompiler", t->cxx.family == FAMILY_CLANG
			? "-fPIC,-fvisibility=hidden,-march=native"
			: "-fPIC,-fvisibility=hidden,-fno-gnu-unique,-march=native", NULL);
	if (t->cxx.command.n == 1)
		words_add_list(f, "-ccbin", t->cxx.command.at[0], NULL);
	words_add_list(f, "-I", DRIVER_OWN, "-I", t->root, "-I", t->include_dir,
		       NULL);
}

/* Which flags a compiler gets is known once it has been asked; this is of all it may get. */
static struct hash hash_flags(struct toolchain *t)
{
	struct compiler c = { .family = FAMILY_OTHER };
	struct hash_state *s = hash_state_new();

	add_cuda_flags(t);
	for (int family = FAMILY_OTHER; family <= FAMILY_CLANG; family++) {
		c.family = (enum family)family;
		add_flags(t, &c, true);
		for (size_t i = 0; i < c.flags.n; i++)
			hash_state_add_string(s, c.flags.at[i]);
	}
	for (size_t i = 0; i < t->nvcc.flags.n; i++)
		hash_state_add_string(s, t->nvcc.flags.at[i]);
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
		_cleanup_free_ char *path = find_program(helpers[i]);

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
	add_flags(t, c, cxx);
}

/* nvcc's own directory may be a link: the toolkit is where the program really lies. */
static char *find_cuda_directory(const struct compiler *nvcc)
{
	char *real = nvcc->command.n ? realpath(nvcc->command.at[0], NULL) : NULL, *bin;

	if (!real)
		return NULL;
	bin = strrchr(real, '/');
	*bin = '\0';
	bin = xasprintf("%s/../lib64", real);
	free(real);
	return bin;
}

void toolchain_init(struct toolchain *t, const char *include_dir, const char *root)
{
	struct hash flags;

	*t = (struct toolchain){ .machine = hash_machine(), .include_dir = xstrdup(include_dir),
				 .root = xstrdup(root) };
	t->has_gpu = file_exists("/dev/nvidia0") || file_exists("/dev/dxg");
	find_compilers(t);
	flags = hash_flags(t);
	identify(&t->cc, t->machine, flags);
	identify(&t->cxx, t->machine, flags);
	identify(&t->nvcc, t->machine, flags);
	guess_compiler(t, &t->cc, false);
	guess_compiler(t, &t->cxx, true);
	t->cuda_directory = find_cuda_directory(&t->nvcc);
}

static void compiler_fini(struct compiler *c)
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
	compiler_fini(&t->nvcc);
	free(t->linking.linker);
	words_fini(&t->linking.options);
	words_fini(&t->linking.before);
	words_fini(&t->linking.after);
	words_fini(&t->linking.directories);
	words_fini(&t->linking.libraries);
	free(t->include_dir);
	free(t->root);
	free(t->cuda_directory);
	*t = (struct toolchain){ .cuda_directory = NULL };
}

struct compiler *toolchain_compiler(struct toolchain *t, enum language l)
{
	struct compiler *c = l == LANGUAGE_CUDA ? &t->nvcc : l == LANGUAGE_CXX ? &t->cxx : &t->cc;

	return c->command.n ? c : NULL;
}

static void read_compiler(const struct toolchain *t, struct compiler *c, const char *answer,
			  bool cxx)
{
	if (driver_is_clang(answer))
		c->family = FAMILY_CLANG;
	else if (driver_read_compile(answer, &c->cc1, &c->as))
		c->family = FAMILY_GCC;
	else
		c->family = FAMILY_OTHER;
	c->name = name_of(c, cxx);
	add_flags(t, c, cxx);
}

/* @name in the first directory that has it; free(), or NULL. */
static char *find_library(const struct words *directories, const char *name)
{
	for (size_t i = 0; i < directories->n; i++) {
		char *path = path_join(directories->at[i], name);

		if (file_exists(path))
			return path;
		free(path);
	}
	return NULL;
}

static bool add_library(struct words *ret, const struct words *directories, const char *name)
{
	_cleanup_free_ char *path = find_library(directories, name);

	if (path)
		words_add(ret, path);
	return path != NULL;
}

static void add_object(struct words *ret, const struct words *command, const char *name)
{
	for (size_t i = 0; i < command->n; i++)
		if (strcmp(path_name(command->at[i]), name) == 0)
			words_add(ret, command->at[i]);
}

static void add_directories(struct words *ret, const struct words *command)
{
	static const char *const more[] = { "/lib64", "/usr/lib64", "/lib", "/usr/lib" };

	for (size_t i = 0; i < command->n; i++)
		if (strncmp(command->at[i], "-L", 2) == 0 && command->at[i][2] == '/' &&
		    !strstr(command->at[i], "/stubs"))
			words_add(ret, command->at[i] + 2);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		words_add(ret, more[i]);
}

/*
 * In the order of a C++ link. Those that are not there are not needed on this system: glibc
 * 2.34 took libpthread, libdl and librt into libc.
 */
static void add_libraries(struct linking *l)
{
	static const char *const names[] = {
		"libopenblas.so.0", "libgomp.so.1",   "libstdc++.so.6", "libm.so.6",
		"libmvec.so.1",     "libgcc_s.so.1",  "libc.so.6",      "ld-linux-x86-64.so.2",
		"libpthread.so.0",  "libdl.so.2",     "librt.so.1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_library(&l->libraries, &l->directories, names[i]);
}

static struct hash identify_linking(const struct linking *l)
{
	const struct words *const lists[] = { &l->before, &l->after, &l->libraries };
	struct hash_state *s = hash_state_new();

	hash_state_add_string(s, REVISION);
	identity_add(s, l->linker);
	for (size_t i = 0; i < l->options.n; i++)
		hash_state_add_string(s, l->options.at[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			identity_add(s, lists[i]->at[k]);
	return hash_state_end(s);
}

/* Without one of the pieces the compiler's driver must link: `linker` stays NULL. */
static void read_linking(struct linking *l, const char *answer)
{
	_cleanup_words_ struct words command = WORDS_NULL;
	bool known = driver_read_link(answer, &command) && words_have(&command, "elf_x86_64");

	add_directories(&l->directories, &command);
	add_object(&l->before, &command, "crti.o");
	add_object(&l->before, &command, "crtbeginS.o");
	known = known && add_library(&l->after, &l->directories, "libgcc.a") &&
		add_library(&l->after, &l->directories, "libc_nonshared.a");
	add_object(&l->after, &command, "crtendS.o");
	add_object(&l->after, &command, "crtn.o");
	add_libraries(l);
	words_add_list(&l->options, "-shared", "-m", "elf_x86_64", "--hash-style=gnu",
		       "--eh-frame-hdr", "--build-id", "-z", "defs", "-z", "relro", "-z", "now",
		       "--as-needed", NULL);
	if (known && l->before.n == 2 && l->after.n == 4)
		l->linker = find_program("ld.gold");
	if (known && l->before.n == 2 && l->after.n == 4 && !l->linker)
		l->linker = find_program("ld.bfd");
	if (l->linker)
		l->identity = identify_linking(l);
}

enum { ASK_CC, ASK_CXX, ASK_LINK, N_QUESTIONS };

struct question {
	struct probing *probing;
	struct words command;
	struct hash key;
	struct job *job;
	struct buffer answer;
};

struct probing {
	struct toolchain *toolchain;
	struct store *store;
	struct question questions[N_QUESTIONS];
	unsigned n_open;
	probed_fn done;
	void *context;
};

static void free_probing(struct probing *p)
{
	for (int i = 0; i < N_QUESTIONS; i++) {
		words_fini(&p->questions[i].command);
		buffer_fini(&p->questions[i].answer);
	}
	free(p);
}

struct probing *probing_cancel(struct probing *p)
{
	if (!p)
		return NULL;
	for (int i = 0; i < N_QUESTIONS; i++)
		job_cancel(p->questions[i].job);
	free_probing(p);
	return NULL;
}

static void conclude(struct probing *p)
{
	struct toolchain *t = p->toolchain;
	const struct question *q = p->questions;

	if (t->cc.command.n)
		read_compiler(t, &t->cc, buffer_text(&q[ASK_CC].answer), false);
	if (t->cxx.command.n)
		read_compiler(t, &t->cxx, buffer_text(&q[ASK_CXX].answer), true);
	add_cuda_flags(t);
	read_linking(&t->linking, buffer_text(&q[ASK_LINK].answer));
	p->done(p->context);
	free_probing(p);
}

static void on_answer(void *context, const struct job_end *end)
{
	struct question *q = context;

	q->job = NULL;
	buffer_puts(&q->answer, end->text);
	if (!end->error && !end->timed_out && !end->signal)
		store_write_note(q->probing->store, "toolchain", q->key, q->answer.data,
				 q->answer.size);
	if (--q->probing->n_open == 0)
		conclude(q->probing);
}

/* The flags are gcc's, who needs no driver afterwards; clang only says that it is clang. */
static void put_questions(struct probing *p)
{
	struct toolchain *t = p->toolchain;

	for (int i = ASK_CC; i <= ASK_CXX; i++) {
		struct words *command = &p->questions[i].command;
		struct compiler gcc = { .family = FAMILY_GCC };

		words_add_all(command, i == ASK_CC ? &t->cc.command : &t->cxx.command);
		words_add_list(command, "-###", "-c", "-pipe", NULL);
		add_flags(t, &gcc, i == ASK_CXX);
		words_add_all(command, &gcc.flags);
		words_fini(&gcc.flags);
		words_add_list(command, "-MD", "-MF", DRIVER_DEPENDS, "-o", DRIVER_OBJECT,
			       i == ASK_CC ? DRIVER_SOURCE ".c" : DRIVER_SOURCE ".cc", NULL);
	}
	words_add_all(&p->questions[ASK_LINK].command, &t->cc.command);
	words_add_list(&p->questions[ASK_LINK].command, "-###", "-shared", "-o", DRIVER_OBJECT,
		       "/dev/null", NULL);
}

static struct hash key_of(const struct question *q, const struct toolchain *t)
{
	struct hash_state *s = hash_state_new();

	hash_state_add(s, &t->cc.identity, sizeof(t->cc.identity));
	hash_state_add(s, &t->cxx.identity, sizeof(t->cxx.identity));
	for (size_t i = 0; i < q->command.n; i++)
		hash_state_add_string(s, q->command.at[i]);
	return hash_state_end(s);
}

static bool exists(const struct question *q)
{
	return q->command.n && strchr(q->command.at[0], '/');
}

void toolchain_probe(struct toolchain *t, struct store *s, struct queue *q, probed_fn done,
		     void *context, struct probing **ret)
{
	struct probing *p = xcalloc(1, sizeof(*p));

	p->toolchain = t;
	p->store = s;
	p->done = done;
	p->context = context;
	put_questions(p);
	p->n_open = 1;
	*ret = p;
	for (int i = 0; i < N_QUESTIONS; i++) {
		struct question *one = &p->questions[i];
		struct job_options o = { .command = &one->command, .at_once = true,
					 .time_limit_ms = 30000 };

		one->probing = p;
		one->key = key_of(one, t);
		if (!exists(one) || store_read_note(s, "toolchain", one->key, &one->answer) == 0)
			continue;
		p->n_open++;
		job_start(q, &o, on_answer, one, &one->job);
	}
	if (--p->n_open == 0) {
		*ret = NULL;
		conclude(p);
	}
}
