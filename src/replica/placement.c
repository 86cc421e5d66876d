/* SPDX-License-Identifier: MIT */
#include "replica/placement.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

#define MOVE_NS (10 * NS_PER_MS) /* a worker is moved no more often */

void placement_follow(struct placement *p, pid_t worker)
{
	int cpu = sched_getcpu();
	uint64_t now;
	cpu_set_t set;

	if (cpu < 0 || cpu == p->cpu)
		return;
	now = clock_ns();
	if (now - p->moved_ns < MOVE_NS)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(worker, sizeof(set), &set) == 0)
		p->cpu = cpu;
	p->moved_ns = now;
}

/* All its threads: those that a kernel started while it was bound were born bound. */
void placement_release(struct placement *p, pid_t worker, const cpu_set_t *cpus)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)worker);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0)
			sched_setaffinity(tid, sizeof(*cpus), cpus);
	}
	if (d)
		closedir(d);
	p->cpu = -1;
}
