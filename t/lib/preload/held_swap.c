/* SPDX-License-Identifier: MIT */

/*
 * Preloaded (LD_PRELOAD) into a worker, holds it where it takes its deployment's name, which is
 * at its first swap and before its first call: while the file $DEVSERVE_HELD_SWAP is there. It
 * appends its process id to that file.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void hold(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0)
		return;
	dprintf(fd, "%d\n", (int)getpid());
	close(fd);
	while (access(path, F_OK) == 0)
		usleep(1000);
}

int prctl(int option, ...)
{
	const char *path = getenv("DEVSERVE_HELD_SWAP");
	unsigned long a[4];
	va_list args;

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_NAME && path)
		hold(path);
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}
