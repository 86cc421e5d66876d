/* SPDX-License-Identifier: MIT */
#include "serve/core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

void core_allow(bool yes)
{
	setenv("DEVSERVE_CORE", yes ? "yes" : "no", 1);
}

static const char *unless_there(const char *pattern, bool uses_pid)
{
	return uses_pid && !strstr(pattern, "%p") ? ".PID" : "";
}

char *core_describe(const char *pattern, bool uses_pid, const char *directory, uint64_t limit)
{
	size_t size = strcspn(pattern, "\n");

	if (pattern[0] == '|') {
		size_t program = strcspn(pattern + 1, " \n");

		return xasprintf("a worker that crashes dumps core: the kernel hands it to %.*s (kernel.core_pattern)",
				 (int)program, pattern + 1);
	}
	if (!limit)
		return xstrdup("no worker can dump core: the hard limit of their size is 0 (ulimit -Hc); raise it "
			       "where the server is started");
	if (!size && !uses_pid)
		return xstrdup("no worker can dump core: kernel.core_pattern is empty");
	return xasprintf("a worker that crashes dumps core to %s%s%.*s%s (kernel.core_pattern)",
			 pattern[0] == '/' ? "" : directory, pattern[0] == '/' ? "" : "/", (int)size, pattern,
			 unless_there(pattern, uses_pid));
}

char *core_place(void)
{
	_cleanup_buffer_ struct buffer pattern = BUFFER_NULL, uses_pid = BUFFER_NULL;
	_cleanup_free_ char *directory = getcwd(NULL, 0);
	struct rlimit r = { .rlim_max = 0 };

	getrlimit(RLIMIT_CORE, &r);
	if (file_read("/proc/sys/kernel/core_pattern", &pattern) < 0)
		buffer_puts(&pattern, "core");
	file_read("/proc/sys/kernel/core_uses_pid", &uses_pid);
	return core_describe(buffer_text(&pattern), strtoul(buffer_text(&uses_pid), NULL, 10) != 0,
			     directory ? directory : ".", r.rlim_max);
}
