/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

Test(process, is_alive_until_it_has_ended_waited_for_or_not)
{
	siginfo_t info;
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	cr_assert(process_is_alive(pid));
	cr_assert(process_is_alive(getpid()));
	kill(pid, SIGKILL);
	cr_assert(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	cr_assert(!process_is_alive(pid));
	waitpid(pid, NULL, 0);
	cr_assert(!process_is_alive(pid));
	cr_assert(!process_is_alive(0) && !process_is_alive(-1));
}
