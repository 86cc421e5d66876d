/* SPDX-License-Identifier: MIT */

/*
 * dlopen_check IMAGE [FUNCTION]: loads it as a worker would, all references bound at once,
 * calls int FUNCTION(void) and prints its result, unloads it and checks that it's gone.
 */

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_mapped(const char *path)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[PATH_MAX + 200];

	while (maps && fgets(line, sizeof(line), maps))
		found |= strstr(line, path) != NULL;
	if (maps)
		fclose(maps);
	return found;
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	void *image;

	if (argc < 2 || !realpath(argv[1], path))
		return 2;
	image = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!image) {
		printf("dlopen: %s\n", dlerror());
		return 1;
	}
	dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE); /* has threads */
	if (argc > 2) {
		void *symbol = dlsym(image, argv[2]);
		int (*function)(void);

		if (!symbol) {
			printf("dlsym: %s\n", dlerror());
			return 1;
		}
		memcpy(&function, &symbol, sizeof(function));
		printf("%d\n", function());
	}
	dlclose(image);
	if (is_mapped(path)) {
		printf("still mapped\n");
		return 1;
	}
	printf("loaded\n");
	return 0;
}
