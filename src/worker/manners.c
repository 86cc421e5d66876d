/* SPDX-License-Identifier: MIT */
#include "worker/manners.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "worker/launched.h"

/* None unless --core asks for them: a core of a gigabyte of weights takes seconds to write. */
static void limit_cores(void)
{
	const char *wanted = getenv("DEVSERVE_CORE");
	struct rlimit cores = { 0, 0 };

	if (wanted && strcmp(wanted, "yes") == 0 && getrlimit(RLIMIT_CORE, &cores) == 0)
		cores.rlim_cur = cores.rlim_max;
	setrlimit(RLIMIT_CORE, &cores);
}

/* Should memory run out, a plugin goes rather than the server. */
static void be_killed_first(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "500", 3) < 0) {
		/* then it isn't */
	}
	close(fd);
}

void manners_adopt(uint32_t server_pid)
{
	bool launched = launched_init(server_pid);

	if (!launched)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* a debugger of the user's, where only parents may (Yama) */
	if (!launched && (uint32_t)getppid() != server_pid)
		_exit(1); /* it ended before we asked to be told */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	limit_cores();
	be_killed_first();
}
