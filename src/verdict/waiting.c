/* SPDX-License-Identifier: MIT */
#include "verdict/waiting.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Who was not switched away did not wait. */
static long count_switches(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_nivcsw + u.ru_nvcsw : -1;
}

/* "ran waited slices" */
static uint64_t read_ns(const struct waiting *w)
{
	char text[96], *end;
	ssize_t n = pread(w->fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return w->ns;
	text[n] = '\0';
	strtoull(text, &end, 10);
	return strtoull(end, NULL, 10);
}

void waiting_open(struct waiting *w)
{
	*w = (struct waiting){ .fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC) };
	w->switches = count_switches();
	w->ns = w->fd < 0 ? 0 : read_ns(w);
}

void waiting_close(struct waiting *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

uint64_t waiting_ns(struct waiting *w)
{
	long switches = count_switches();
	uint64_t before = w->ns;

	if (w->fd < 0 || switches == w->switches)
		return 0;
	w->switches = switches;
	w->ns = read_ns(w);
	return w->ns - before;
}
