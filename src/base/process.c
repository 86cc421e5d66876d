/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

/* Its state is the letter behind its name, which is in parentheses and may have some. */
static bool is_zombie(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)pid);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *end = file_read(path, &text) == 0 ? strrchr(buffer_text(&text), ')') : NULL;

	return end && (strncmp(end, ") Z", 3) == 0 || strncmp(end, ") X", 3) == 0);
}

bool process_is_alive(pid_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH) && !is_zombie(pid);
}
