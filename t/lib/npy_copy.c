/* SPDX-License-Identifier: MIT */

/*
 * usage: npy_copy    reads lines "FROM TO": reads the .npy file FROM, writes what it was
 * understood to be to TO, and prints its type, or the sentence that refuses it.
 */

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "array/array.h"
#include "array/npy.h"

static void copy(const char *from, const char *to, struct buffer *said)
{
	struct array a = ARRAY_NULL;
	struct buffer file = BUFFER_NULL;

	if (npy_read(from, &a, said) == 0 && npy_format(&a, &file, said) == 0) {
		array_put_type(said, a.dtype, a.shape, a.rank);
		if (!array_is_whole(&a) || file_write(to, file.data, file.size, 0644) < 0)
			buffer_puts(said, " is wrong");
	}
	array_fini(&a);
	buffer_fini(&file);
}

int main(void)
{
	char line[8192];

	while (fgets(line, sizeof(line), stdin)) {
		struct buffer said = BUFFER_NULL;
		char *space = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		*space = '\0';
		copy(line, space + 1, &said);
		puts(buffer_text(&said));
		fflush(stdout);
		buffer_fini(&said);
	}
	return 0;
}
