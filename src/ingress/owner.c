/* SPDX-License-Identifier: MIT */

/*
 * /proc/net/tcp knows the socket's inode, and /proc/PID/fd whose it is. Best effort: what
 * can't be read is passed over.
 */

#include "ingress/owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"

#define TCP_LISTEN 0x0a

static unsigned long inode_in(const char *path, unsigned port)
{
	unsigned long inode = 0;
	char line[512];
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	while (!inode && fgets(line, sizeof(line), f)) {
		unsigned local, state;
		unsigned long found;

		if (sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu",
			   &local, &state, &found) == 3 &&
		    local == port && state == TCP_LISTEN)
			inode = found;
	}
	fclose(f);
	return inode;
}

static int holds(const char *fds, const char *wanted)
{
	DIR *d = opendir(fds);
	struct dirent *e;
	int found = 0;

	if (!d)
		return 0;
	while (!found && (e = readdir(d))) {
		char link[64];
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);

		if (n < 0)
			continue;
		link[n] = '\0';
		found = strcmp(link, wanted) == 0;
	}
	closedir(d);
	return found;
}

static void describe(const char *pid, struct buffer *ret)
{
	char path[64], name[64] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		fclose(f);
	}
	buffer_printf(ret, "PID %s (%s)", pid, name);
}

int port_owner(unsigned port, struct buffer *ret)
{
	unsigned long inode = inode_in("/proc/net/tcp", port);
	char wanted[64], fds[64];
	struct dirent *e;
	int r = -1;
	DIR *d;

	if (!inode)
		inode = inode_in("/proc/net/tcp6", port);
	d = inode ? opendir("/proc") : NULL;
	if (!d)
		return -1;
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	while (r < 0 && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(fds, sizeof(fds), "/proc/%.20s/fd", e->d_name);
		if (holds(fds, wanted)) {
			describe(e->d_name, ret);
			r = 0;
		}
	}
	closedir(d);
	return r;
}
