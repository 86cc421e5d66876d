/* SPDX-License-Identifier: MIT */

/*
 * Seat
 *
 * The place of one replica. A worker comes into it in one way only, take_over(): whatever it
 * replaces (nothing, a dead one, one that should go) and whoever it is (the spare that waited,
 * the trial's worker, a new one). In place a new image comes by load and commit.
 *
 * A deployment with state is served by one worker a seat at any time: the heir swaps when the
 * one before has ended and left its last checkpoint.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"

#define STOP_GRACE_MS 5000
#define SWAP_TIME_MS 2000 /* then the author is told what it waits for */
#define HOPELESS 4  /* failed starts in a row, after which nobody is kept waiting */
#define AT_FAULT 3  /* deaths in a row that no call explains, after which the one before serves */
#define BACKOFF_MS 100
#define MAX_BACKOFF_MS 5000
#define MAX_GENERATIONS 1000 /* in one worker */

static const struct replica_callbacks serving, incoming, retired;
static void on_restart_due(uv_timer_t *timer);
static void on_patience_over(uv_timer_t *timer);
static void take_over(struct seat *s);

static bool has_state(const struct deployment *d)
{
	return d->current.signature && d->current.signature->state.size;
}

static bool is_over(const struct seat *s)
{
	return s->deployment->removed || s->deployment->deploy->closing;
}

static void add_timer(struct seat *s, uv_timer_t *timer)
{
	uv_timer_init(s->deployment->deploy->hub->loop, timer);
	timer->data = s;
	deployment_ref(s->deployment);
}

void seat_init(struct seat *s, struct deployment *d, unsigned index)
{
	s->deployment = d;
	s->index = index;
	LIST_INIT(&s->batches);
	add_timer(s, &s->restart);
	add_timer(s, &s->patience);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct seat *s = handle->data;

	deployment_unref(s->deployment);
}

void seat_close_timers(struct seat *s)
{
	uv_close((uv_handle_t *)&s->restart, on_timer_closed);
	uv_close((uv_handle_t *)&s->patience, on_timer_closed);
}

bool seat_is_busy(const struct seat *s)
{
	return s->serving && replica_in_flight(s->serving);
}

static void start_timer(struct seat *s, uv_timer_t *timer, uv_timer_cb fn, uint64_t ms)
{
	uv_update_time(s->deployment->deploy->hub->loop);
	uv_timer_start(timer, fn, ms, 0);
}

static void be_patient(struct seat *s)
{
	start_timer(s, &s->patience, on_patience_over,
		    spare_patience_ms(s->deployment->deploy, s->incoming ? replica_runtime(s->incoming) : NULL));
}

/*
 * The serving worker takes messages between two calls only: its load waits for infer(), and the
 * swap does.
 */
static void watch_serving(struct seat *s, uint64_t at_most_ms)
{
	s->ran = replica_running(s->serving);
	start_timer(s, &s->patience, on_patience_over, at_most_ms < SWAP_TIME_MS ? at_most_ms : SWAP_TIME_MS);
}

static void expect_load(struct seat *s)
{
	s->wait_told = false;
	s->patient_until_ns = clock_ns() + s->deployment->deploy->create_timeout_ms * NS_PER_MS;
	watch_serving(s, s->deployment->deploy->create_timeout_ms);
}

/* What the worker that comes is to load. */
static const struct release *release_of(const struct seat *s)
{
	const struct deployment *d = s->deployment;

	return s->stage == SEAT_LOADING || s->stage == SEAT_LOADED ? &d->wish.release : &d->current;
}

static char *state_path(const struct seat *s)
{
	const struct deployment *d = s->deployment;
	_cleanup_free_ char *directory = NULL;

	if (!has_state(d))
		return NULL;
	directory = xasprintf("%s/state/%s", d->deploy->state_dir, d->name);
	file_make_directories_from(d->deploy->state_dir, directory);
	return xasprintf("%s/%u", directory, s->index);
}

/* Another generation is about to serve. */
static void forget_deaths(struct seat *s)
{
	s->n_idle_deaths = s->n_deaths = 0;
	s->answered = false;
}

static void swap(struct seat *s, struct replica *r)
{
	struct deployment *d = s->deployment;
	_cleanup_free_ char *state = state_path(s);
	unsigned cpus = (unsigned)CPU_COUNT(&d->deploy->hub->cpus);
	unsigned threads = cpus / (d->settings.num_replicas ? d->settings.num_replicas : 1);

	if (s->generation != d->current.generation)
		forget_deaths(s);
	s->generation = d->current.generation;
	s->n_generations++;
	replica_set_name(r, d->name);
	replica_set_limits(r, threads ? threads : 1, d->settings.checkpoint_ms);
	replica_swap(r, s->generation, state);
}

static void retire(struct seat *s, struct replica *r)
{
	deployment_ref(s->deployment);
	replica_set_callbacks(r, &retired, s);
	replica_stop(r, STOP_GRACE_MS);
}

static void sit_down(struct seat *s)
{
	struct replica *before = s->serving;

	uv_timer_stop(&s->patience);
	uv_timer_stop(&s->restart);
	s->serving = s->incoming;
	s->incoming = NULL;
	s->incoming_has = s->heir = s->must_replace = false;
	s->n_generations = 0;
	s->started_ns = clock_ns();
	replica_set_callbacks(s->serving, &serving, s);
	swap(s, s->serving);
	if (before)
		retire(s, before);
}

static void tell_replaced(struct seat *s)
{
	struct deployment *d = s->deployment;
	struct deploy *deploy = d->deploy;

	d->stats.restarts++;
	deploy->cb.worker_replaced(deploy->cb.context, d->name, s->generation, replica_pid(s->serving),
				   s->died_ns ? s->started_ns - s->died_ns : 0);
	s->died_ns = 0;
	spare_prepare(deploy);
}

/* The incoming worker has the current image: it serves now, or as soon as the state is free. */
static void take_over(struct seat *s)
{
	bool replaces = s->serving || s->died_ns;

	if (s->serving && has_state(s->deployment)) {
		s->heir = true;
		uv_timer_stop(&s->patience);
		replica_stop(s->serving, STOP_GRACE_MS);
		return;
	}
	sit_down(s);
	if (s->stage != SEAT_IDLE)
		return;
	if (replaces)
		tell_replaced(s);
	else /* one replica more */
		spare_prepare(s->deployment->deploy);
}

/* Workers that come */

static void load(struct replica *r, const struct release *release)
{
	struct replica_image image = release_image(release);

	replica_load(r, &image);
}

static void on_incoming_up(void *context)
{
	struct seat *s = context;

	load(s->incoming, release_of(s));
}

static void start_failed(struct seat *s, const char *sentence)
{
	struct deployment *d = s->deployment;

	uv_timer_stop(&s->patience);
	if (s->stage != SEAT_IDLE) {
		rollout_on_loaded(s, EIO, sentence);
		return;
	}
	s->n_failures++;
	s->n_deaths++;
	if (++s->n_idle_deaths >= AT_FAULT && rollout_fall_back(d, sentence))
		return;
	if (s->n_failures >= HOPELESS)
		deployment_refuse_all(d, INFER_UNAVAILABLE, sentence);
	seat_restart(s);
}

static void on_incoming_loaded(void *context, int error, const char *sentence)
{
	struct seat *s = context;

	if (error) {
		s->incoming = replica_abandon(s->incoming);
		start_failed(s, sentence);
		return;
	}
	uv_timer_stop(&s->patience);
	s->incoming_has = true;
	if (s->stage == SEAT_LOADING) {
		s->stage = SEAT_LOADED;
		rollout_on_loaded(s, 0, NULL);
	} else {
		take_over(s);
	}
}

static void on_incoming_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	s->incoming = NULL;
	s->incoming_has = s->heir = false;
	if (s->deployment->deploy->closing)
		return;
	crash_tell(s->deployment, s->stage == SEAT_IDLE ? s->deployment->current.generation : 0, NULL, end);
	buffer_printf(&sentence, "the worker that loaded it %s", end->how);
	start_failed(s, sentence.data);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	d->deploy->cb.line(d->deploy->cb.context, d->name, s->generation ? s->generation : d->handle.generation,
			   level, text, size);
}

static const struct replica_callbacks incoming = {
	.up = on_incoming_up,
	.loaded = on_incoming_loaded,
	.line = on_line,
	.died = on_incoming_died,
};

int seat_start(struct seat *s, const struct release *release)
{
	struct deployment *d = s->deployment;
	bool up;
	int r;

	s->incoming = replica_abandon(s->incoming);
	s->incoming_has = s->heir = false;
	if (release == &d->current && (s->incoming = spare_take(d))) {
		replica_set_callbacks(s->incoming, &incoming, s);
		s->incoming_has = true;
		return 0;
	}
	if (release == &d->wish.release && d->tried) {
		s->incoming = d->tried;
		d->tried = NULL;
		replica_set_callbacks(s->incoming, &incoming, s);
		replica_attach(s->incoming, &d->arena);
		s->incoming_has = true;
		return 0;
	}
	r = spare_take_blank(d->deploy, release->runtime, &incoming, s, &s->incoming, &up);
	if (r < 0)
		return r;
	replica_attach(s->incoming, &d->arena);
	be_patient(s);
	if (up)
		load(s->incoming, release);
	return 0;
}

static void bring_current(struct seat *s)
{
	if (seat_start(s, &s->deployment->current) < 0) {
		s->n_failures++;
		seat_restart(s);
	} else if (s->incoming_has) {
		take_over(s);
	}
}

static unsigned backoff_ms(const struct seat *s)
{
	unsigned doublings = s->n_failures < 2 ? 0 : s->n_failures < 10 ? s->n_failures - 2 : 8;
	unsigned ms = BACKOFF_MS << doublings;

	if (s->n_failures < 2)
		return 0;
	return ms < MAX_BACKOFF_MS ? ms : MAX_BACKOFF_MS;
}

static void on_restart_due(uv_timer_t *timer)
{
	struct seat *s = timer->data;

	if (!s->serving && !s->incoming && !is_over(s))
		bring_current(s);
}

void seat_restart(struct seat *s)
{
	unsigned ms = backoff_ms(s);

	if (is_over(s) || s->index >= s->deployment->n_seats || !s->deployment->current.path || s->serving ||
	    s->incoming)
		return;
	if (ms)
		start_timer(s, &s->restart, on_restart_due, ms);
	else
		bring_current(s);
}

void seat_replace(struct seat *s, const char *because)
{
	struct deployment *d = s->deployment;

	if (because && !s->must_replace)
		d->deploy->cb.replacing(d->deploy->cb.context, d->name, s->generation, because);
	s->must_replace = true;
	if (d->stage != ROLLOUT_IDLE || !s->serving || s->incoming || is_over(s))
		return;
	s->died_ns = 0;
	bring_current(s);
}

/* The wish can't come with the worker that serves: another one brings it. */
static void load_again(struct seat *s)
{
	if (s->incoming) /* it comes in one of its own anyway */
		return;
	if (seat_load(s) < 0)
		rollout_on_loaded(s, EIO, "no worker could be started");
	else if (s->stage == SEAT_LOADED)
		rollout_on_loaded(s, 0, NULL);
}

static void tell_waits(struct seat *s)
{
	struct deployment *d = s->deployment;
	struct deploy *deploy = d->deploy;
	uint32_t generation = s->stage == SEAT_SWAPPING ? d->current.generation : rollout_number(d);

	s->wait_told = true;
	deploy->cb.swap_waits(deploy->cb.context, d->name, generation, replica_pid(s->serving));
}

/* create() hangs, or infer() does, and the load or the swap behind it with it; or a debugger has it. */
static void on_serving_slow(struct seat *s)
{
	uint64_t now = clock_ns(), left_ns;

	if (replica_is_traced(s->serving))
		s->patient_until_ns = now + s->deployment->deploy->create_timeout_ms * NS_PER_MS;
	left_ns = now < s->patient_until_ns ? s->patient_until_ns - now : 0;
	if (s->stage == SEAT_LOADING && !left_ns) {
		s->must_replace = true; /* its control thread is stuck beside the old image */
		load_again(s);
		return;
	}
	if (!s->wait_told && s->ran && replica_running(s->serving) == s->ran)
		tell_waits(s);
	if (s->stage == SEAT_LOADING)
		watch_serving(s, left_ns / NS_PER_MS + 1);
	else if (s->stage == SEAT_SWAPPING)
		watch_serving(s, SWAP_TIME_MS);
}

static void on_patience_over(uv_timer_t *timer)
{
	struct seat *s = timer->data;

	if (s->incoming) {
		s->incoming = replica_abandon(s->incoming);
		start_failed(s, "create() did not return in time");
	} else if (s->serving) {
		on_serving_slow(s);
	}
}

/* A worker serves */

static void on_serving_loaded(void *context, int error, const char *sentence)
{
	struct seat *s = context;

	if (s->stage != SEAT_LOADING || s->incoming) {
		if (!error)
			replica_drop(s->serving); /* the rollout it was for is over */
		return;
	}
	uv_timer_stop(&s->patience);
	if (error && s->deployment->tried) { /* it was well on its trial: something is wrong with this worker */
		s->must_replace = true;
		load_again(s);
		return;
	}
	if (!error)
		s->stage = SEAT_LOADED;
	rollout_on_loaded(s, error, sentence);
}

static void on_serving_swapped(void *context, uint64_t pause_ns)
{
	struct seat *s = context;

	uv_timer_stop(&s->patience);
	if (s->stage != SEAT_SWAPPING)
		return;
	s->stage = SEAT_IDLE;
	rollout_on_swapped(s, pause_ns);
}

static void on_serving_unloaded(void *context, enum replica_unloaded how)
{
	struct seat *s = context;

	if (how == REPLICA_THREADS_LEFT)
		seat_replace(s, "the generation before left threads running, which a fresh worker doesn't have; "
				"end them in destroy()");
	else if (how != REPLICA_UNMAPPED)
		seat_replace(s, "the generation before could not be unmapped (a thread_local with a destructor, "
				"or a library that holds it?)");
	else if (s->n_generations >= MAX_GENERATIONS)
		seat_replace(s, "it has had 1,000 generations");
}

static void on_done(void *context, void *call)
{
	struct seat *s = context;

	if (((struct batch *)call)->replica == s->serving && !batch_was_skipped(call)) {
		s->n_failures = s->n_idle_deaths = s->n_deaths = 0;
		s->answered = true;
	}
	batch_done(call);
}

static uint64_t on_need(void *context, void *call, uint64_t size)
{
	(void)context;
	return batch_grant(call, size);
}

static void on_lost(void *context, void *call, bool begun, const struct replica_end *end)
{
	retry_on_lost(context, call, begun, end);
}

/* What ran: after a swap that may be the destroy() of the generation before, or a thread it left. */
static uint32_t generation_at_fault(const struct seat *s, const struct replica_end *end)
{
	const struct release *before = &s->deployment->previous;

	return before->path && end->crash && crash_is_in(end->crash, before->path) ? before->generation : s->generation;
}

void seat_tell_died(struct seat *s, uint32_t generation, const struct replica_end *end)
{
	struct deployment *d = s->deployment;
	struct deploy *deploy = d->deploy;

	if (end->cause != REPLICA_STOPPED)
		deploy->cb.worker_died(deploy->cb.context, d->name, generation, end->pid, end->how);
	if (!s->told)
		crash_tell(d, generation, NULL, end);
	s->told = false;
}

/* With state no call is tried on the generation before: what never answered must do. */
static bool is_at_fault(const struct seat *s)
{
	const struct deployment *d = s->deployment;

	return s->generation == d->current.generation &&
	       (s->n_idle_deaths >= AT_FAULT || (has_state(d) && !s->answered && s->n_deaths >= AT_FAULT));
}

bool seat_is_dying(const struct seat *s)
{
	return s->n_deaths >= AT_FAULT;
}

static void on_serving_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	s->serving = NULL;
	uv_timer_stop(&s->patience);
	if (d->deploy->closing)
		return;
	s->died_ns = clock_ns();
	s->n_failures += end->cause == REPLICA_CRASHED && !(s->told && end->report); /* a report is what it is for */
	s->n_deaths += end->cause == REPLICA_CRASHED && !end->report;
	s->n_idle_deaths += end->cause == REPLICA_CRASHED && !s->told; /* else retry.c judges */
	seat_tell_died(s, generation_at_fault(s, end), end);
	if (d->removed) {
		deployment_refuse_all(d, INFER_UNAVAILABLE, "the deployment was removed");
		deployment_settle_removal(d);
	} else if (s->heir) {
		sit_down(s);
		if (s->stage == SEAT_IDLE)
			tell_replaced(s);
	} else if (s->stage == SEAT_LOADING || s->stage == SEAT_LOADED) {
		load_again(s);
	} else if (s->stage == SEAT_SWAPPING) {
		s->stage = SEAT_IDLE; /* the next one comes with the new image */
		rollout_on_swapped(s, 0);
		seat_restart(s);
	} else if (!is_at_fault(s) || !rollout_fall_back(d, end->how)) {
		seat_restart(s);
	}
}

static const struct replica_callbacks serving = {
	.loaded = on_serving_loaded,
	.swapped = on_serving_swapped,
	.unloaded = on_serving_unloaded,
	.done = on_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_serving_died,
};

/* A worker retires: its calls end, then its process. */

static void on_retired_unloaded(void *context, enum replica_unloaded how)
{
	(void)context, (void)how;
}

static void on_retired_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	(void)end;
	if (d->removed) { /* calls that it had not begun wait again, and nobody comes for them */
		deployment_refuse_all(d, INFER_UNAVAILABLE, "the deployment was removed");
		deployment_settle_removal(d);
	}
	deployment_unref(d);
}

static const struct replica_callbacks retired = {
	.unloaded = on_retired_unloaded,
	.done = on_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_retired_died,
};

/* In a rollout */

/* A sanitizer knows of the images that were there when it started, and of no others. */
static bool wants_fresh(const struct deployment *d)
{
	return d->wish.fresh || d->wish.release.runtime || d->current.runtime;
}

int seat_load(struct seat *s)
{
	struct deployment *d = s->deployment;
	int r;

	s->stage = SEAT_LOADING;
	uv_timer_stop(&s->restart);
	if (s->serving && !s->heir && !s->must_replace && !wants_fresh(d) && !replica_is_stopping(s->serving)) {
		s->incoming = replica_abandon(s->incoming);
		expect_load(s);
		load(s->serving, &d->wish.release);
		return 0;
	}
	r = seat_start(s, &d->wish.release);
	if (r == 0 && s->incoming_has)
		s->stage = SEAT_LOADED;
	return r;
}

void seat_commit(struct seat *s)
{
	s->stage = SEAT_SWAPPING;
	if (s->incoming) {
		take_over(s);
		return;
	}
	swap(s, s->serving);
	watch_serving(s, SWAP_TIME_MS);
}

void seat_drop(struct seat *s)
{
	enum seat_stage stage = s->stage;

	s->stage = SEAT_IDLE;
	if (stage == SEAT_IDLE || stage == SEAT_SWAPPING)
		return;
	uv_timer_stop(&s->patience);
	if (s->incoming)
		s->incoming = replica_abandon(s->incoming);
	else if (stage == SEAT_LOADED && s->serving)
		replica_drop(s->serving);
	else
		s->must_replace = true; /* it still loads: what it answers then must not be mistaken */
	s->incoming_has = false;
	seat_restart(s);
}

void seat_retire(struct seat *s)
{
	uv_timer_stop(&s->restart);
	uv_timer_stop(&s->patience);
	s->stage = SEAT_IDLE;
	s->incoming = replica_abandon(s->incoming);
	s->incoming_has = s->heir = false;
	if (s->serving)
		retire(s, s->serving);
	s->serving = NULL;
}
