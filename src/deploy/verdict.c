/* SPDX-License-Identifier: MIT */

/*
 * Verdict
 *
 * After a swap what serves and what served before run by turns in a worker of their own, on calls
 * that clients really sent, and it is told which was faster. Nobody waits for it: the worker is
 * started a moment after the swap, runs where no other process wants the processor (SCHED_IDLE), and is
 * killed when it has answered, when its time is over, or when a newer save comes. One at a time in
 * the whole server, as two would measure each other; others wait their turn.
 *
 * While another generation runs beside the one that serves (companion.c) it is measured against that,
 * again and again, in the same way.
 *
 * Of the report nothing is believed: numbers that can't be are no verdict.
 */

#include "verdict/verdict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"
#include "ring/measurement.h"

#define DELAY_MS 30              /* after a swap: its answers first */
#define TOLD_NS (850 * NS_PER_MS) /* after the swap: that it comes within a second */
#define LEAST_NS (300 * NS_PER_MS) /* a worker that started late has that at least */
#define PATIENCE_MS 2500         /* for a worker that finds no processor at all */

/* A GPU's context takes a good part of a second, and making it is felt by whoever uses that GPU. */
#define CUDA_DELAY_MS 400
#define CUDA_TOLD_NS (1800 * NS_PER_MS)
#define CUDA_LEAST_NS (600 * NS_PER_MS)
#define CUDA_PATIENCE_MS 6000

struct verdicts {
	struct deploy *deploy;
	struct deployment *of; /* whose generations run, or soon will; NULL: nobody's */
	struct replica *replica;
	struct recorder_view view;
	struct measurement *shared;
	int fd;
	bool beside;       /* its companion is measured against what serves */
	uint64_t since_ns; /* the swap */
	uv_timer_t timer;
};

static void consider(struct verdicts *v);

static void let_go(struct verdicts *v)
{
	v->replica = replica_abandon(v->replica);
	if (v->shared) {
		recorder_release(&v->of->recorder, &v->view);
		munmap(v->shared, sizeof(*v->shared));
		close(v->fd);
	}
	v->shared = NULL;
	v->of = NULL;
	uv_timer_stop(&v->timer);
}

/* The report */

static bool is_ratio(double r)
{
	return isfinite(r) && r > 1e-6 && r < 1e6;
}

static bool is_time(double ns)
{
	return isfinite(ns) && ns > 0 && ns < 1e15;
}

static bool makes_sense(const struct verdict *v)
{
	bool good = (unsigned)v->kind <= VERDICT_SLOWER && v->n_courses <= ROUND_MAX_COURSES && is_ratio(v->ratio) &&
		    isfinite(v->control) && v->control >= 0;

	if (!good || (v->n_courses && !(is_ratio(v->low) && is_ratio(v->high))))
		return false;
	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++) {
		const struct verdict_course *c = &v->courses[i];

		if (c->old_ns && !(is_ratio(c->ratio) && is_ratio(c->low) && is_ratio(c->high) &&
				   is_time(c->old_ns) && is_time(c->new_ns)))
			return false;
	}
	return true;
}

/* Zeros where it is no number of things to be done. */
static struct work sane_work(struct work w)
{
	if (!isfinite(w.flops) || w.flops < 0)
		w.flops = 0;
	if (!isfinite(w.bytes) || w.bytes < 0)
		w.bytes = 0;
	return w;
}

static void describe_inputs(struct verdicts *v, const struct measurement_report *r, struct deploy_verdict *ret,
			    struct buffer *texts)
{
	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++) {
		const struct recording *rec;

		if (!r->verdict.courses[i].old_ns || r->courses[i] >= v->view.n)
			continue;
		rec = recorder_at(&v->view, r->courses[i]);
		recorder_describe(rec, recorder_signature(&v->of->recorder, rec->id), &texts[i]);
		ret->inputs[i] = buffer_text(&texts[i]);
		ret->recordings[i] = rec->id;
		ret->works[i] = sane_work(r->works[i]);
	}
}

/* Our own copy of the report tells; or @reason, why there is none. */
static void tell(struct verdicts *v, const struct measurement_report *r, const char *reason)
{
	struct buffer texts[ROUND_MAX_COURSES] = { BUFFER_NULL };
	struct deployment *d = v->of;
	struct deploy *deploy = v->deploy;
	struct deploy_verdict told = { .name = d->name, .generation = d->current.generation,
				       .from = d->previous.generation, .reason = reason,
				       .took_ns = clock_ns() - v->since_ns };

	if (r) {
		told.verdict = r->verdict;
		told.by_gpu = r->by_gpu;
		told.low_mhz = r->clocks.low_mhz;
		told.high_mhz = r->clocks.high_mhz;
		told.slowed_by = r->clocks.slowed_by;
		describe_inputs(v, r, &told, texts);
	} else {
		told.verdict = (struct verdict){ .kind = VERDICT_UNSURE, .ratio = 1 };
	}
	deploy->cb.judged(deploy->cb.context, &told);
	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		buffer_fini(&texts[i]);
}

static void end(struct verdicts *v, const struct measurement_report *r, const char *reason)
{
	if (v->beside)
		companion_judged(v->of, r ? &r->verdict : NULL);
	else
		tell(v, r, reason);
	let_go(v);
	consider(v);
}

/* The worker */

static bool is_cuda(const struct verdicts *v)
{
	return v->of->current.signature->cuda;
}

static void on_up(void *context)
{
	struct verdicts *v = context;
	uint64_t gone = clock_ns() - v->since_ns, told = is_cuda(v) ? CUDA_TOLD_NS : TOLD_NS;
	uint64_t least = is_cuda(v) ? CUDA_LEAST_NS : LEAST_NS;

	v->shared->order.budget_ns = gone + least < told ? told - gone : least;
	replica_measure(v->replica, v->fd);
}

static void on_measured(void *context, int error)
{
	struct verdicts *v = context;
	struct measurement_report r = v->shared->report;

	r.sentence[sizeof(r.sentence) - 1] = '\0';
	r.clocks.slowed_by[sizeof(r.clocks.slowed_by) - 1] = '\0';
	if (error)
		end(v, NULL, "the worker could not be told what to measure");
	else if (r.sentence[0])
		end(v, NULL, r.sentence);
	else if (!makes_sense(&r.verdict))
		end(v, NULL, "the worker that measured told nonsense");
	else
		end(v, &r, NULL);
}

static void on_died(void *context, const struct replica_end *replica_end)
{
	struct verdicts *v = context;
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL;

	v->replica = NULL;
	buffer_printf(&reason, "the worker that measured %s", replica_end->how);
	end(v, NULL, reason.data);
}

static const struct replica_callbacks measuring = {
	.up = on_up,
	.measured = on_measured,
	.died = on_died,
};

/* The order */

/* Both generations' of the first replica; they have the same layout, or the old one can't have it. */
static char *state_path(const struct deployment *d)
{
	return d->current.signature->state.size ? xasprintf("%s/state/%s/0", d->deploy->state_dir, d->name) : NULL;
}

static void order_image(struct link_load *ret, const struct release *release, const char *state)
{
	struct replica_image image = release_image(release);

	image.state = state;
	replica_describe_load(ret, &image);
}

static const struct release *old_of(const struct deployment *d, bool beside)
{
	return beside ? &d->current : &d->previous;
}

static const struct release *new_of(const struct deployment *d, bool beside)
{
	return beside ? &d->companion.release : &d->current;
}

static bool make_order(struct verdicts *v)
{
	struct deployment *d = v->of;
	_cleanup_free_ char *state = state_path(d);
	void *map;

	if (link_memory("verdict", sizeof(*v->shared), &v->fd, &map) < 0)
		return false;
	v->shared = map;
	recorder_hold(&d->recorder, d->current.signature, MEASUREMENT_RECORDINGS, &v->view);
	v->shared->order.n_recordings = v->view.n;
	memcpy(v->shared->order.offsets, v->view.offsets, v->view.n * sizeof(*v->view.offsets));
	snprintf(v->shared->order.recordings, sizeof(v->shared->order.recordings), "%s", v->view.path);
	v->shared->order.seed = clock_ns();
	v->shared->order.is_cuda = d->current.signature->cuda;
	order_image(&v->shared->order.old, old_of(d, v->beside), state);
	order_image(&v->shared->order.new, new_of(d, v->beside), state);
	return v->view.n > 0;
}

static bool start(struct verdicts *v)
{
	struct deploy *d = v->deploy;
	_cleanup_free_ char *name = xasprintf("%s (verdict)", v->of->name);
	const struct replica_options o = { .worker = d->worker, .name = name, .arena = &d->trial_arena,
					   .callbacks = &measuring, .context = v };

	if (!make_order(v) || replica_start(d->hub, &o, &v->replica) < 0)
		return false;
	replica_yield(v->replica);
	replica_set_name(v->replica, name);
	replica_set_limits(v->replica, 1, 0);
	uv_update_time(d->hub->loop);
	uv_timer_start(&v->timer, v->timer.timer_cb, is_cuda(v) ? CUDA_PATIENCE_MS : PATIENCE_MS, 0);
	return true;
}

/* Whose turn it is */

/* A sanitizer's times say nothing of those without, a GPU's nothing of a processor's. */
static bool can_be_measured(const struct deployment *d, bool beside)
{
	const struct release *now = new_of(d, beside), *before = old_of(d, beside);

	return now->path && before->path && !now->runtime && !before->runtime &&
	       now->signature->cuda == before->signature->cuda;
}

static bool any_creates(const struct verdicts *v)
{
	return new_of(v->of, v->beside)->signature->creates || old_of(v->of, v->beside)->signature->creates;
}

static void on_timer(uv_timer_t *timer)
{
	struct verdicts *v = timer->data;

	if (v->replica) {
		end(v, NULL, any_creates(v) ? "it took too long: create() does, or the machine is busy" :
					      "it took too long: the machine is busy");
	} else if (!start(v)) {
		let_go(v);
		consider(v);
	}
}

static struct deployment *longest_waiting(const struct deploy *d)
{
	struct deployment *at, *first = NULL;

	LIST_FOREACH(at, &d->deployments, entry)
		if (at->unjudged_ns && (!first || at->unjudged_ns < first->unjudged_ns))
			first = at;
	return first;
}

static void consider(struct verdicts *v)
{
	if (v->of || v->deploy->closing)
		return;
	v->of = longest_waiting(v->deploy);
	if (!v->of)
		return;
	v->since_ns = v->of->unjudged_ns;
	v->beside = v->of->unjudged_beside;
	v->of->unjudged_ns = 0;
	uv_update_time(v->deploy->hub->loop);
	uv_timer_start(&v->timer, on_timer, is_cuda(v) ? CUDA_DELAY_MS : DELAY_MS, 0);
}

void deployment_judge(struct deployment *d)
{
	if (!d->deploy->verdicts || !can_be_measured(d, false))
		return;
	d->unjudged_ns = clock_ns();
	d->unjudged_beside = false;
	consider(d->deploy->verdicts);
}

void verdicts_judge_companion(struct deployment *d)
{
	struct verdicts *v = d->deploy->verdicts;

	if (!v || d->unjudged_ns || v->of == d || !can_be_measured(d, true))
		return;
	d->unjudged_ns = clock_ns();
	d->unjudged_beside = true;
	consider(v);
}

void verdicts_drop_companion(struct deployment *d)
{
	struct verdicts *v = d->deploy->verdicts;

	if (d->unjudged_beside)
		d->unjudged_ns = 0;
	d->unjudged_beside = false;
	if (!v || v->of != d || !v->beside)
		return;
	let_go(v);
	consider(v);
}

void verdicts_drop(struct deployment *d)
{
	struct verdicts *v = d->deploy->verdicts;

	d->unjudged_ns = 0;
	if (!v || v->of != d)
		return;
	let_go(v);
	consider(v);
}

bool deploy_is_judging(const struct deploy *d)
{
	return d->verdicts && d->verdicts->of && !d->verdicts->beside; /* that goes on for ever */
}

void verdicts_open(struct deploy *d)
{
	struct verdicts *v = xcalloc(1, sizeof(*v));

	v->deploy = d;
	d->verdicts = v;
	uv_timer_init(d->hub->loop, &v->timer);
	v->timer.data = v;
	uv_unref((uv_handle_t *)&v->timer);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void verdicts_close(struct deploy *d)
{
	struct verdicts *v = d->verdicts;

	if (v->of)
		let_go(v);
	d->verdicts = NULL;
	uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}
