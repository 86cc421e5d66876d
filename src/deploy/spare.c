/* SPDX-License-Identifier: MIT */

/*
 * Spare
 *
 * Workers that serve nobody. One of the server's is blank: the next trial starts in it at once.
 * Each deployment's holds the image that serves, created: it takes over in the time of a
 * wake-up. As a rule it is the worker of that image's trial. What is missing is started a
 * moment after whatever took it, for starting a process takes CPU from serving.
 */

#include "base/clock.h"
#include "deploy/internal.h"
#include "replica/memcheck.h"

#define LATER_MS 250 /* after a swap */
#define SLOWNESS 6   /* of a context, and of loading code into it, under compute-sanitizer: a guess */

static int start_worker(struct deploy *d, const char *runtime, const struct replica_callbacks *callbacks, void *context,
			struct replica **ret)
{
	return replica_start(d->hub,
			     &(struct replica_options){ .worker = d->worker,
							.runtime = runtime,
							.name = "spare",
							.arena = &d->trial_arena,
							.callbacks = callbacks,
							.context = context },
			     ret);
}

/* Blank */

static void on_blank_up(void *context)
{
	struct deploy *d = context;

	d->spare_is_up = true;
	if (d->any_cuda)
		replica_warm(d->spare);
}

static void on_blank_died(void *context, const struct replica_end *end)
{
	struct deploy *d = context;

	(void)end;
	d->spare = NULL;
	spare_prepare(d);
}

static const struct replica_callbacks blank = {
	.up = on_blank_up,
	.died = on_blank_died,
};

uint64_t spare_patience_ms(const struct deploy *d, const char *runtime)
{
	return (uint64_t)d->create_timeout_ms * (memcheck_is(runtime) ? SLOWNESS : 1);
}

int spare_take_blank(struct deploy *d, const char *runtime, const struct replica_callbacks *callbacks, void *context,
		     struct replica **ret, bool *ret_is_up)
{
	*ret_is_up = d->spare && d->spare_is_up && !runtime;
	if (!d->spare || runtime)
		return start_worker(d, runtime, callbacks, context, ret);
	*ret = d->spare;
	d->spare = NULL;
	replica_set_callbacks(*ret, callbacks, context);
	spare_prepare(d);
	return 0;
}

/* A deployment's */

static void on_warm_up(void *context)
{
	struct deployment *d = context;

	struct replica_image image = release_image(&d->current);

	replica_load(d->spare, &image);
}

static void on_warm_loaded(void *context, int error, const char *sentence)
{
	struct deployment *d = context;

	(void)sentence;
	if (error)
		spare_drop(d); /* a death will tell: the next worker loads it in the open */
	else
		d->spare_has = true;
}

static void on_warm_died(void *context, const struct replica_end *end)
{
	struct deployment *d = context;

	d->spare = NULL;
	d->spare_has = false;
	if (end->cause == REPLICA_KILLED)
		spare_prepare(d->deploy);
}

static const struct replica_callbacks warm = {
	.up = on_warm_up,
	.loaded = on_warm_loaded,
	.died = on_warm_died,
};

struct replica *spare_take(struct deployment *d)
{
	struct replica *r = d->spare;

	if (!r || !d->spare_has || replica_is_stopping(r))
		return NULL;
	d->spare = NULL;
	d->spare_has = false;
	spare_prepare(d->deploy);
	return r;
}

void spare_adopt(struct deployment *d, struct replica *r)
{
	spare_drop(d);
	d->spare = r;
	d->spare_has = true;
	replica_set_callbacks(r, &warm, d);
	replica_attach(r, &d->arena);
}

void spare_drop(struct deployment *d)
{
	d->spare = replica_abandon(d->spare);
	d->spare_has = false;
}

static void warm_up(struct deployment *d)
{
	bool up;

	if (d->spare || d->removed || d->stage != ROLLOUT_IDLE || !d->current.path || !d->seats[0].serving)
		return;
	if (spare_take_blank(d->deploy, d->current.runtime, &warm, d, &d->spare, &up) < 0)
		return;
	d->spare_has = false;
	replica_attach(d->spare, &d->arena);
	if (up)
		on_warm_up(d);
}

/* Those whose trial is over */

static void on_resting_died(void *context, const struct replica_end *end)
{
	struct deploy *d = context;

	for (unsigned i = 0; i < d->n_tried; i++) {
		if (replica_pid(d->tried[i]) == end->pid) {
			d->tried[i] = d->tried[--d->n_tried];
			return;
		}
	}
}

static const struct replica_callbacks resting = {
	.died = on_resting_died,
};

void spare_rest(struct deploy *d, struct replica *r)
{
	if (d->n_tried == MAX_TRIED)
		replica_abandon(d->tried[--d->n_tried]);
	replica_set_callbacks(r, &resting, d);
	d->tried[d->n_tried++] = r;
	spare_prepare(d);
}

void spare_on_later(uv_timer_t *timer)
{
	struct deploy *d = timer->data;
	struct deployment *at;

	while (d->n_tried)
		replica_abandon(d->tried[--d->n_tried]);
	if (!d->spares_held)
		LIST_FOREACH(at, &d->deployments, entry)
			warm_up(at);
	uv_timer_stop(&d->later); /* taking the blank one asked for another round */
	if (d->spare)
		return;
	d->spare_is_up = false;
	start_worker(d, NULL, &blank, d, &d->spare);
}

void spare_prepare(struct deploy *d)
{
	if (d->closing || uv_is_active((uv_handle_t *)&d->later))
		return;
	uv_update_time(d->hub->loop);
	uv_timer_start(&d->later, spare_on_later, LATER_MS, 0);
}

void deploy_hold_spares(struct deploy *d, bool yes)
{
	d->spares_held = yes;
	if (!yes)
		spare_prepare(d);
}

void spare_init(struct deploy *d)
{
	uv_timer_init(d->hub->loop, &d->later);
	d->later.data = d;
	uv_unref((uv_handle_t *)&d->later);
}

void spare_close(struct deploy *d)
{
	while (d->n_tried)
		replica_abandon(d->tried[--d->n_tried]);
	d->spare = replica_abandon(d->spare);
}
