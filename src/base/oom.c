/* SPDX-License-Identifier: MIT */
#include "base/oom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

uint64_t oom_kills(void)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *line = file_read("/proc/vmstat", &text) < 0 ? NULL : strstr(buffer_text(&text), "\noom_kill ");
	uint64_t n = 0;

	if (line)
		sscanf(line, "\noom_kill %" SCNu64, &n);
	return n;
}
