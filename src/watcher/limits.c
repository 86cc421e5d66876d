/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * On a network file system inotify works and tells of this machine's changes only, which is
 * worse than an error. overlayfs isn't in the list: what is written through it does give
 * events, and writing to its layers from outside is forbidden anyway; in a container all
 * directories would be polled for nothing.
 */

#include "watcher/limits.h"

#include <errno.h>
#include <inotifytools/inotifytools.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/memory.h"
#include "watcher/wire.h"

#define INSTEAD "Comparing all files every 500 ms instead, which is slower."

static const struct {
	unsigned magic;
	const char *name;
} no_events[] = {
	{ 0x00006969, "NFS" },
	{ 0x0000517b, "SMB" },
	{ 0xfe534d42, "SMB" },
	{ 0xff534d42, "CIFS" },
	{ 0x01021997, "9P" },
	{ 0x65735546, "FUSE or virtiofs" },
	{ 0x00c36400, "Ceph" },
	{ 0x5346414f, "AFS" },
	{ 0x6b414653, "AFS" },
	{ 0x73757245, "Coda" },
	{ 0x7461636f, "OCFS2" },
	{ 0x01161970, "GFS2" },
	{ 0x0bd00bd0, "Lustre" },
	{ 0x786f4256, "a VirtualBox shared folder" },
	{ 0xbacbacbc, "a VMware shared folder" },
};

bool limits_distrust(struct wire *wire, const char *directory)
{
	struct statfs st;

	if (statfs(directory, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(no_events); i++) {
		if (no_events[i].magic != (unsigned)st.f_type)
			continue;
		wire_notice(wire, "%s is on %s, where not every change gives an event. " INSTEAD,
			    directory, no_events[i].name);
		return true;
	}
	return false;
}

static int raised(int value, int least)
{
	return value > least / 2 && value < (1 << 29) ? value * 2 : least;
}

void limits_explain(struct wire *wire, const char *path, int r)
{
	const char *name = NULL;
	int value = 0, least = 0;

	if (r == -ENOSPC) {
		name = "fs.inotify.max_user_watches";
		value = inotifytools_get_max_user_watches();
		least = 524288;
	} else if (r == -EMFILE) {
		name = "fs.inotify.max_user_instances";
		value = inotifytools_get_max_user_instances();
		least = 1024;
	}
	if (name)
		wire_notice(wire,
			    "%s can't be watched: %s is %d and used up. " INSTEAD
			    " To raise it: sudo sysctl %s=%d, then start devserve again.",
			    path, name, value, name, raised(value, least));
	else
		wire_notice(wire, "%s can't be watched: %s. " INSTEAD, path, strerror(-r));
}
