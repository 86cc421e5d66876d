/* SPDX-License-Identifier: MIT */

/* How fast the machine is at best: what was measured here once, or is now. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/findings.h"
#include "peaks/peaks.h"

#define GIGA 1e9

static void put_peak(struct buffer *b, const char *before, const char *name, const struct peak *p, const char *unit)
{
	buffer_printf(b, "%s%s %.0f", before, name, p->one / GIGA);
	if (p->all > p->one)
		buffer_printf(b, " (%.0f)", p->all / GIGA);
	buffer_printf(b, " %s", unit);
}

static char *describe(const struct peaks *p)
{
	struct buffer b = BUFFER_NULL;

	if (p->threads > 1)
		buffer_printf(&b, "one thread (all %u): ", p->threads);
	put_peak(&b, "", "FP32", &p->fp32, "GFLOP/s");
	put_peak(&b, ", ", "FP64", &p->fp64, "GFLOP/s");
	for (unsigned i = 0; i < p->n_levels; i++)
		put_peak(&b, ", ", p->levels[i].name, &p->levels[i].bytes, "GB/s");
	if (p->others >= PEAKS_BUSY)
		buffer_printf(&b, "; other processes had %.0f %% of the CPUs while this was measured, so it may be "
				  "too little: measure again when they have ended", 100 * p->others);
	return buffer_steal(&b);
}

static void add_peaks(struct findings *f, const struct peaks *p)
{
	bool busy = p->others >= PEAKS_BUSY;

	findings_add(f, "peaks", busy ? FINDING_NOTE : FINDING_OK, describe(p),
		     busy ? xstrdup("devserve doctor --calibrate") : NULL);
}

/* Measuring takes a while; a person who waits is told so. */
static int calibrate(struct peaks *ret)
{
	if (isatty(STDERR_FILENO))
		fputs("measuring, which takes some two seconds of all CPUs …\n", stderr);
	peaks_measure(ret);
	return peaks_write(ret);
}

void examine_peaks(struct findings *f, bool measure)
{
	struct peaks p;
	int r = measure ? calibrate(&p) : peaks_read(&p);

	if (r == 0)
		add_peaks(f, &p);
	else if (measure)
		findings_add(f, "peaks", FINDING_NOTE,
			     xasprintf("measured, but they can't be kept: %s", strerror(-r)),
			     xstrdup("let XDG_CACHE_HOME name a directory that can be written"));
	else
		findings_add(f, "peaks", FINDING_NOTE,
			     xstrdup("what this machine can do at best isn't known: rates come without a share of it"),
			     xstrdup("devserve doctor --calibrate"));
}
