/* SPDX-License-Identifier: MIT */
#include "peaks/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

unsigned machine_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* What stands behind the colon in the first CPU's line @key of /proc/cpuinfo. */
static void put_fact(struct buffer *b, const char *key)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL, *value;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 1) {
		if (strncmp(line, key, strlen(key)) != 0 || !(value = strchr(line, ':')))
			continue;
		value += strspn(value, ": ");
		buffer_append(b, value, strcspn(value, "\n"));
		break;
	}
	free(line);
	if (f)
		fclose(f);
}

char *machine_name(void)
{
	struct buffer b = BUFFER_NULL;
	unsigned n = machine_cpus();

	put_fact(&b, "model name");
	buffer_printf(&b, "%s%u CPU%s", b.size ? ", " : "", n, n == 1 ? "" : "s");
	return buffer_steal(&b);
}

char *machine_identity(void)
{
	static char *known; /* the kernel takes milliseconds to say it, where there are many CPUs */
	_cleanup_free_ char *name = NULL;
	struct buffer b = BUFFER_NULL;

	if (known)
		return xstrdup(known);
	name = machine_name();
	buffer_puts(&b, name);
	put_fact(&b, "flags");
	put_fact(&b, "cache size");
	known = buffer_steal(&b);
	return xstrdup(known);
}
