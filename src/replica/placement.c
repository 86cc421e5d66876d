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

/* Those that a kernel started as well. */
static void each_thread(pid_t worker, void (*fn)(pid_t thread, const void *context), const void *context)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)worker);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0)
			fn(tid, context);
	}
	if (d)
		closedir(d);
}

static void release(pid_t thread, const void *context)
{
	sched_setaffinity(thread, sizeof(cpu_set_t), context);
}

static void yield(pid_t thread, const void *context)
{
	(void)context;
	sched_setscheduler(thread, SCHED_IDLE, &(struct sched_param){ .sched_priority = 0 });
}

/* Threads that were started while it was bound were born bound. */
void placement_release(struct placement *p, pid_t worker, const cpu_set_t *cpus)
{
	each_thread(worker, release, cpus);
	p->cpu = -1;
}

void placement_yield(pid_t worker)
{
	each_thread(worker, yield, NULL);
}
