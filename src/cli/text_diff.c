/* SPDX-License-Identifier: MIT */
#include "cli/text_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/capture.h"

#define PATIENCE_MS 30000
#define MOST ((size_t)16 << 20)

/* A file without a name that diff inherits. */
static int make_file(const char *text, char ret_path[32])
{
	int fd = memfd_create("diff", 0);

	if (fd >= 0 && file_write_all(fd, text, strlen(text)) < 0) {
		close(fd);
		fd = -1;
	}
	snprintf(ret_path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

int text_diff(const char *before, const char *after, const char *label_before, const char *label_after, bool color,
	      struct buffer *ret, struct buffer *why)
{
	char paths[2][32];
	int fds[2] = { make_file(before ? before : "", paths[0]), make_file(after ? after : "", paths[1]) };
	const char *argv[] = { "diff", "-u", color ? "--color=always" : "--color=never", "-L",
			       before ? label_before : "/dev/null", "-L", after ? label_after : "/dev/null", paths[0],
			       paths[1], NULL };
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r = fds[0] < 0 || fds[1] < 0 ? -ENOMEM : capture_all(argv, "", PATIENCE_MS, MOST, &text);

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r == 0 || r == 1) {
		buffer_append(ret, buffer_text(&text), text.size);
		return 0;
	}
	if (r < 0)
		buffer_printf(why, "cannot run diff: %s; it is in diffutils", strerror(-r));
	else
		buffer_printf(why, "diff: %.*s", (int)strcspn(buffer_text(&text), "\n"), buffer_text(&text));
	return EXIT_FAILURE;
}
