/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "base/memory.h"
#include "serve/core.h"

static void says(const char *sentence, const char *pattern, bool uses_pid, uint64_t limit)
{
	_cleanup_free_ char *got = core_describe(pattern, uses_pid, "/home/me", limit);

	cr_expect_str_eq(got, sentence);
}

Test(core, the_place_follows_from_the_kernels_pattern)
{
	says("a worker that crashes dumps core to /home/me/core (kernel.core_pattern)", "core\n", false, 1);
	says("a worker that crashes dumps core to /home/me/core.PID (kernel.core_pattern)", "core\n", true, 1);
	says("a worker that crashes dumps core to /var/core.%p (kernel.core_pattern)", "/var/core.%p\n", true, 1);
	says("a worker that crashes dumps core: the kernel hands it to /usr/bin/taker (kernel.core_pattern)",
	     "|/usr/bin/taker %P %s\n", false, 0);
}

Test(core, what_stands_against_it_is_said)
{
	says("no worker can dump core: the hard limit of their size is 0 (ulimit -Hc); raise it where the server is "
	     "started", "core\n", false, 0);
	says("no worker can dump core: kernel.core_pattern is empty", "\n", false, 1);
}
