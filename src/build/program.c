/* SPDX-License-Identifier: MIT */
#include "build/program.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

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

char *program_find(const char *name)
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
