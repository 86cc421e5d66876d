/* SPDX-License-Identifier: MIT */

/*
 * usage: replay DIRECTORY  gives each file of a corpus to a harness of t/fuzz, in the order of
 * their names; what is wrong ends it. libFuzzer does that too, but wants clang.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int is_input(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void replay(const char *path)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	uint8_t *bytes;

	if (file_read(path, &b) < 0) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(1);
	}
	fprintf(stderr, "# %s\n", path); /* the last one is the culprit */
	bytes = xmalloc(b.size + !b.size); /* of exactly that size: reading beyond is seen */
	if (b.size)
		memcpy(bytes, b.data, b.size);
	LLVMFuzzerTestOneInput(bytes, b.size);
	free(bytes);
}

int main(int argc, char **argv)
{
	struct dirent **names;
	int n = argc == 2 ? scandir(argv[1], &names, is_input, alphasort) : -1;

	if (n <= 0) {
		fprintf(stderr, "usage: replay DIRECTORY, with files in it\n");
		return 1;
	}
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = path_join(argv[1], names[i]->d_name);

		replay(path);
		free(names[i]);
	}
	free(names);
	printf("%d\n", n);
	return 0;
}
