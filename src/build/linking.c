/* SPDX-License-Identifier: MIT */
#include "build/linking.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/driver.h"
#include "build/program.h"

/* Changes when the way images are linked does. */
#define LINKING_REVISION "1"

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

	hash_state_add_string(s, LINKING_REVISION);
	identity_add(s, l->linker);
	for (size_t i = 0; i < l->options.n; i++)
		hash_state_add_string(s, l->options.at[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			identity_add(s, lists[i]->at[k]);
	return hash_state_end(s);
}

void linking_learn(struct linking *l, const char *answer)
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
		l->linker = program_find("ld.gold");
	if (known && l->before.n == 2 && l->after.n == 4 && !l->linker)
		l->linker = program_find("ld.bfd");
	if (l->linker)
		l->identity = identify_linking(l);
}

void linking_fini(struct linking *l)
{
	free(l->linker);
	words_fini(&l->options);
	words_fini(&l->before);
	words_fini(&l->after);
	words_fini(&l->directories);
	words_fini(&l->libraries);
	*l = (struct linking){ .linker = NULL };
}
