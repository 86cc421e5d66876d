/* SPDX-License-Identifier: MIT */

/*
 * One line: which was faster, and how sure that is. Inputs for which the opposite holds are named, as
 * a mean of faster and slower is the answer to nobody's question. Where there is none, so is the one that differs
 * most from the mean, if chance isn't why: small requests that a change leaves alone must not hide a large one that
 * it doesn't.
 */

#include "serve/verdict_text.h"

#include <inttypes.h>
#include <math.h>

#include "base/buffer.h"
#include "base/json.h"
#include "deploy/deploy.h"
#include "serve/event.h"
#include "serve/style.h"
#include "serve/work_text.h"
#include "verdict/verdict.h"

#define PLAINLY 0.02 /* an input on its own is named beyond that */
#define NO_CHANGE 0.005 /* would be told as 1.00 */

static const char *color_of(const struct style *s, enum verdict_kind kind)
{
	return kind == VERDICT_FASTER ? GREEN(s) : kind == VERDICT_SLOWER ? RED(s) : DIM(s);
}

static bool is_against(enum verdict_kind kind, const struct verdict_course *c)
{
	return (kind != VERDICT_FASTER && c->low > 1 + PLAINLY) || (kind != VERDICT_SLOWER && c->high < 1 - PLAINLY);
}

static void put_one(struct buffer *b, const char *before, double ratio, const char *input)
{
	buffer_puts(b, before);
	if (fabs(log(ratio)) < NO_CHANGE)
		buffer_puts(b, "same speed with ");
	else
		buffer_printf(b, "%.2f× %s with ", ratio > 1 ? ratio : 1 / ratio, ratio > 1 ? "faster" : "slower");
	style_sentence(b, input);
}

/* "; but 1.20× slower with X FP32[1,64]"; whether there is any. */
static bool put_opposites(struct buffer *b, const struct deploy_verdict *v)
{
	bool any = false;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++) {
		const struct verdict_course *c = &v->verdict.courses[i];

		if (!c->old_ns || !v->inputs[i] || !is_against(v->verdict.kind, c))
			continue;
		put_one(b, any ? ", " : "; but ", c->ratio, v->inputs[i]);
		any = true;
	}
	return any;
}

static bool stands_out(const struct verdict *v, const struct verdict_course *c)
{
	return (c->high < v->low || c->low > v->high) && fabs(log(c->ratio / v->ratio)) > PLAINLY;
}

/* Of two inputs both are as far from their mean: then the one that changed more. */
static bool differs_more(const struct verdict *v, const struct verdict_course *a, const struct verdict_course *b)
{
	double by = fabs(log(a->ratio / v->ratio)) - fabs(log(b->ratio / v->ratio));

	return fabs(by) < 1e-9 ? fabs(log(a->ratio)) > fabs(log(b->ratio)) : by > 0;
}

/* "; 1.15× slower with X FP32[64,1000]" */
static void put_outlier(struct buffer *b, const struct deploy_verdict *v)
{
	const struct verdict_course *courses = v->verdict.courses;
	unsigned most = ROUND_MAX_COURSES;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		if (courses[i].old_ns && v->inputs[i] && stands_out(&v->verdict, &courses[i]) &&
		    (most == ROUND_MAX_COURSES || differs_more(&v->verdict, &courses[i], &courses[most])))
			most = i;
	if (most < ROUND_MAX_COURSES)
		put_one(b, "; ", courses[most].ratio, v->inputs[most]);
}

static void put_exceptions(struct buffer *b, const struct deploy_verdict *v)
{
	enum verdict_kind kind = v->verdict.kind;

	if (v->verdict.n_courses > 1 && !put_opposites(b, v) && (kind == VERDICT_FASTER || kind == VERDICT_SLOWER))
		put_outlier(b, v);
}

/* What was measured then says less of another day. */
static void put_slowdown(const struct style *s, struct buffer *b, const struct deploy_verdict *v)
{
	if (v->reason || !v->slowed_by || !*v->slowed_by)
		return;
	buffer_printf(b, "  %sthe GPU was slowed by ", YELLOW(s));
	style_sentence(b, v->slowed_by);
	if (v->high_mhz)
		buffer_printf(b, " to %u MHz", v->low_mhz);
	buffer_puts(b, PLAIN(s));
}

void verdict_text(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct deploy_verdict *v = e->verdict;

	style_head(s, b, e->deployment);
	buffer_printf(b, "gen %" PRIu32 "→%" PRIu32 "  %s", v->from, v->generation, color_of(s, v->verdict.kind));
	if (v->reason) {
		buffer_puts(b, "speed unknown: ");
		style_sentence(b, v->reason);
	} else {
		verdict_describe(&v->verdict, b);
	}
	buffer_puts(b, PLAIN(s));
	put_exceptions(b, v);
	put_slowdown(s, b, v);
	if (!v->reason)
		work_text(b, v);
	buffer_putc(b, '\n');
}

static void put_ratio(struct buffer *b, double ratio, double low, double high)
{
	json_double(b, "ratio", ratio);
	json_array(b, "interval");
	json_double(b, NULL, low);
	json_double(b, NULL, high);
	json_array_end(b);
}

static void put_input(struct buffer *b, const struct deploy_verdict *v, unsigned i)
{
	const struct verdict_course *c = &v->verdict.courses[i];

	json_object(b, NULL);
	json_uint(b, "recording", v->recordings[i]);
	json_string(b, "input", v->inputs[i]);
	put_ratio(b, c->ratio, c->low, c->high);
	json_double(b, "before_us", c->old_ns / 1000);
	json_double(b, "after_us", c->new_ns / 1000);
	work_json(b, v, i);
	json_object_end(b);
}

static void put_gpu(struct buffer *b, const struct deploy_verdict *v)
{
	json_bool(b, "gpu", true);
	if (v->high_mhz) {
		json_array(b, "sm_mhz");
		json_uint(b, NULL, v->low_mhz);
		json_uint(b, NULL, v->high_mhz);
		json_array_end(b);
	}
	if (v->slowed_by && *v->slowed_by)
		json_string(b, "slowed_by", v->slowed_by);
}

void verdict_json(const struct deploy_verdict *v, struct buffer *b)
{
	json_string(b, "verdict", verdict_name(v->verdict.kind));
	if (!v->verdict.n_courses)
		return;
	put_ratio(b, v->verdict.ratio, v->verdict.low, v->verdict.high);
	json_double(b, "control", v->verdict.control);
	if (v->by_gpu)
		put_gpu(b, v);
	json_uint(b, "rounds", v->verdict.n_rounds);
	json_uint(b, "disturbed", v->verdict.n_disturbed);
	json_uint(b, "mappings", v->verdict.n_lanes);
	json_array(b, "inputs");
	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		if (v->verdict.courses[i].old_ns)
			put_input(b, v, i);
	json_array_end(b);
}
