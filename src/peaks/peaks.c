/* SPDX-License-Identifier: MIT */

/*
 * The file, all of it text:
 *
 *	devserve peaks 1
 *	machine Intel(R) Xeon(R) Processor, 2 CPUs
 *	threads 2
 *	fp32 116500000000 230000000000
 *	fp64 …
 *	others 0.01
 *	level L1 49152 310000000000 600000000000
 */

#include "peaks/peaks.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "peaks/machine.h"

#define FORMAT "devserve peaks 1\n"

char *peaks_path(void)
{
	_cleanup_free_ char *cache = path_of_cache(), *machine = machine_identity(), *name = NULL;
	char id[HASH_TEXT_SIZE];

	if (!cache)
		return NULL;
	hash_text(hash_bytes(machine, strlen(machine)), id);
	name = xasprintf("peaks-%.12s", id);
	return path_join(cache, name);
}

static bool read_line(struct peaks *p, const char *line)
{
	struct peaks_level level = { .size = 0 };

	if (sscanf(line, "machine %127[^\n]", p->machine) == 1 || sscanf(line, "threads %u", &p->threads) == 1 ||
	    sscanf(line, "others %lf", &p->others) == 1 ||
	    sscanf(line, "fp32 %lf %lf", &p->fp32.one, &p->fp32.all) == 2 ||
	    sscanf(line, "fp64 %lf %lf", &p->fp64.one, &p->fp64.all) == 2)
		return true;
	if (p->n_levels == PEAKS_LEVELS || sscanf(line, "level %7s %" SCNu64 " %lf %lf", level.name, &level.size,
						  &level.bytes.one, &level.bytes.all) != 4)
		return false;
	p->levels[p->n_levels++] = level;
	return true;
}

/* NaN isn't either. */
static bool is_peak(const struct peak *p)
{
	return p->one > 0 && p->one < 1e18 && p->all > 0 && p->all < 1e21;
}

static bool is_whole(const struct peaks *p)
{
	bool good = p->n_levels > 0 && p->threads > 0 && is_peak(&p->fp32) && is_peak(&p->fp64) &&
		    p->others >= 0 && p->others <= 1;

	for (unsigned i = 0; i < p->n_levels; i++)
		good = good && is_peak(&p->levels[i].bytes);
	return good;
}

int peaks_read(struct peaks *ret)
{
	_cleanup_free_ char *path = peaks_path();
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct peaks p = { .threads = 0 };
	int r = path ? file_read(path, &text) : -ENOENT;

	if (r < 0)
		return r;
	if (strncmp(buffer_text(&text), FORMAT, strlen(FORMAT)) != 0)
		return -ENOENT;
	for (const char *line = buffer_text(&text) + strlen(FORMAT); *line; line += *line == '\n') {
		if (!read_line(&p, line))
			return -EBADMSG;
		line += strcspn(line, "\n");
	}
	if (!is_whole(&p))
		return -EBADMSG;
	*ret = p;
	return 0;
}

int peaks_write(const struct peaks *p)
{
	_cleanup_free_ char *path = peaks_path(), *cache = path_of_cache();
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r = path ? file_make_directories(cache) : -ENOENT;

	if (r < 0)
		return r;
	buffer_printf(&text, FORMAT "machine %s\nthreads %u\n", p->machine, p->threads);
	buffer_printf(&text, "fp32 %.0f %.0f\nfp64 %.0f %.0f\n", p->fp32.one, p->fp32.all, p->fp64.one, p->fp64.all);
	buffer_printf(&text, "others %.2f\n", p->others);
	for (unsigned i = 0; i < p->n_levels; i++)
		buffer_printf(&text, "level %s %" PRIu64 " %.0f %.0f\n", p->levels[i].name, p->levels[i].size,
			      p->levels[i].bytes.one, p->levels[i].bytes.all);
	return file_write(path, text.data, text.size, 0644);
}

const struct peaks_level *peaks_level_of(const struct peaks *p, double bytes)
{
	unsigned i = 0;

	while (i + 1 < p->n_levels && bytes > (double)p->levels[i].size)
		i++;
	return &p->levels[i];
}
