/* SPDX-License-Identifier: MIT */

/*
 * /proc/stat counts what each CPU did in ticks of a hundredth of a second, our own work among it. What a
 * hypervisor gave to other guests is others' as well; waiting for a disk is idleness.
 */

#include "peaks/others.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A line of /proc/stat, in ticks. False: it is about something else than a CPU of ours. */
static bool read_cpu(const char *line, const cpu_set_t *ours, uint64_t *ret_busy, uint64_t *ret_all)
{
	uint64_t user, nice, system, idle, disk, irq = 0, softirq = 0, stolen = 0;
	unsigned cpu;

	if (sscanf(line, "cpu%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &cpu, &user, &nice, &system, &idle, &disk, &irq, &softirq, &stolen) < 6 ||
	    cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, ours))
		return false;
	*ret_busy = user + nice + system + irq + softirq + stolen;
	*ret_all = *ret_busy + idle + disk;
	return true;
}

static void read_all(const cpu_set_t *ours, struct others *o)
{
	const uint64_t tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
	FILE *f = fopen("/proc/stat", "re");
	uint64_t busy, all;
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		if (!read_cpu(line, ours, &busy, &all))
			continue;
		o->busy_ns += busy * tick_ns;
		o->all_ns += all * tick_ns;
	}
	free(line);
	if (f)
		fclose(f);
}

void others_begin(struct others *ret)
{
	struct timespec own = { .tv_sec = 0 };
	struct others o = { .busy_ns = 0 };
	cpu_set_t ours;

	if (sched_getaffinity(0, sizeof(ours), &ours) == 0)
		read_all(&ours, &o);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	o.own_ns = (uint64_t)own.tv_sec * NS_PER_S + (uint64_t)own.tv_nsec;
	*ret = o;
}

double others_share(const struct others *since)
{
	struct others now;
	double busy, all, own;

	others_begin(&now);
	busy = (double)now.busy_ns - (double)since->busy_ns;
	all = (double)now.all_ns - (double)since->all_ns;
	own = (double)(now.own_ns - since->own_ns);
	return all > 0 && busy > own ? (busy - own) / all : 0;
}
