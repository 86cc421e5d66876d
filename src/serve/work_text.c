/* SPDX-License-Identifier: MIT */
#include "serve/work_text.h"

#include <stdbool.h>
#include <stdio.h>

#include <devserve/deployment.h>

#include "base/buffer.h"
#include "base/json.h"
#include "deploy/deploy.h"
#include "peaks/peaks.h"

/* A verdict is about one thread. @share: of the best; 0: not known. */
struct rate {
	double per_ns, share; /* operations, or bytes, a nanosecond: that is G… a second */
};

struct rates {
	struct rate flops, bytes;
	char level[8]; /* where the bytes lie; "": not known */
};

static double peak_of(const struct peaks *p, uint32_t dtype)
{
	return dtype == DEVSERVE_FP32 ? p->fp32.one : dtype == DEVSERVE_FP64 ? p->fp64.one : 0;
}

/* What a GPU can do at best was not measured. */
static struct rates rate(const struct work *w, double ns, bool by_gpu)
{
	struct rates r = { .flops.per_ns = w->flops / ns, .bytes.per_ns = w->bytes / ns };
	const struct peaks_level *level;
	struct peaks p;

	if (by_gpu || peaks_read(&p) < 0)
		return r;
	if (peak_of(&p, w->dtype) > 0)
		r.flops.share = r.flops.per_ns * 1e9 / peak_of(&p, w->dtype);
	level = peaks_level_of(&p, w->bytes);
	r.bytes.share = r.bytes.per_ns * 1e9 / level->bytes.one;
	snprintf(r.level, sizeof(r.level), "%s", level->name);
	return r;
}

static bool is_stated(const struct work *w)
{
	return w->flops > 0 || w->bytes > 0;
}

static void put_rate(struct buffer *b, const struct rate *r, const char *unit, const char *whose)
{
	if (!(r->per_ns > 0))
		return;
	buffer_printf(b, "; %.*f %s", r->per_ns < 10 ? 2 : r->per_ns < 100 ? 1 : 0, r->per_ns, unit);
	if (r->share >= 0.01)
		buffer_printf(b, ", %.0f %% of %s", r->share * 100, whose);
	else if (r->share > 0)
		buffer_printf(b, ", below 1 %% of %s", whose);
}

void work_text(struct buffer *b, const struct deploy_verdict *v)
{
	_cleanup_buffer_ struct buffer level = BUFFER_NULL;
	double longest = 0;
	struct rates r;
	unsigned at = 0;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		if (v->verdict.courses[i].new_ns > longest && is_stated(&v->works[i])) {
			longest = v->verdict.courses[i].new_ns;
			at = i;
		}
	if (!(longest > 0))
		return;
	r = rate(&v->works[at], longest, v->by_gpu);
	put_rate(b, &r.flops, "GFLOP/s", "the peak");
	buffer_printf(&level, "%s's", r.level);
	put_rate(b, &r.bytes, "GB/s", buffer_text(&level));
}

struct rate_keys {
	const char *now, *before, *share;
};

static void put_members(struct buffer *b, const struct rate_keys *keys, const struct rate *r, double before)
{
	if (!(r->per_ns > 0))
		return;
	json_double(b, keys->now, r->per_ns);
	json_double(b, keys->before, before);
	if (r->share > 0)
		json_double(b, keys->share, r->share);
}

void work_json(struct buffer *b, const struct deploy_verdict *v, unsigned i)
{
	static const struct rate_keys flops = { "gflops", "gflops_before", "gflops_share" },
				      bytes = { "gbytes", "gbytes_before", "gbytes_share" };
	const struct work *w = &v->works[i];
	const struct verdict_course *c = &v->verdict.courses[i];
	struct rates r;

	if (!is_stated(w) || !(c->new_ns > 0) || !(c->old_ns > 0))
		return;
	r = rate(w, c->new_ns, v->by_gpu);
	json_object(b, "work");
	json_double(b, "flops", w->flops);
	json_double(b, "bytes", w->bytes);
	put_members(b, &flops, &r.flops, w->flops / c->old_ns);
	put_members(b, &bytes, &r.bytes, w->bytes / c->old_ns);
	if (r.level[0])
		json_string(b, "level", r.level);
	json_object_end(b);
}
