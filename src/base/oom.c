/* SPDX-License-Identifier: MIT */
#include "base/oom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

uint64_t oom_kills_in(const char *vmstat)
{
	static const char key[] = "oom_kill ";
	uint64_t n = 0;

	for (const char *line = vmstat; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, sizeof(key) - 1) == 0) {
			sscanf(line, "oom_kill %" SCNu64, &n);
			break;
		}
	}
	return n;
}

uint64_t oom_kills(void)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	return file_read("/proc/vmstat", &text) < 0 ? 0 : oom_kills_in(buffer_text(&text));
}
