/* SPDX-License-Identifier: MIT */

/*
 * Golden cases run whatever they take, recordings while time is left; one that would take longer
 * than that is passed over for a smaller one. A case that is at fault doesn't end the proof, for
 * how many are tells more than the first of them.
 *
 * Outputs are full of NaN before each call, so what infer() leaves out shows. A short case runs
 * several times, for a race may go well once, and is held up meanwhile where it has threads; so does one that differs, for then it says whether it
 * always does. A state has moved on since a request was recorded: with one, recordings
 * show crashes, refusals, shapes and NaN; golden cases start from a zeroed one, and are compared.
 */

#include "worker/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <devserve/ext/state.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "compare/compare.h"
#include "infer/tensor.h"
#include "ring/link.h"
#include "ring/proof.h"
#include "worker/disturb.h"
#include "worker/golden.h"
#include "worker/image.h"
#include "worker/judge.h"
#include "worker/rehearsal.h"
#include "worker/state.h"

#define SHORT_NS NS_PER_MS          /* what is run several times */
#define REPEATS 3
#define REPEATS_NS (3 * NS_PER_MS)  /* that all repeats together may take */
#define DISTURBED 10                /* the same of a call of several threads, which are held up */
#define DISTURBED_NS (6 * NS_PER_MS)
#define COMPANY_NS (2 * NS_PER_US)  /* of other threads' work, beyond which a call has some */
#define BYTES_PER_NS 4              /* that are written, read and compared */
#define STATE_BYTES_PER_NS 2        /* of a state that is copied */

struct stage {
	const struct proof_order *order;
	struct proof_report *report;
	const struct image *image;
	_Atomic uint32_t *running;
	struct rehearsal *rehearsal;
	const char *recordings; /* NULL: none */
	size_t size;
	bool stateful;
	uint64_t started_ns, repeated_ns;
	uint64_t own_ns, others_ns; /* that this thread, and others, worked in the last call */
};

/* One case, whichever kind it is. */
struct scene {
	uint32_t index;
	const struct recording *recording;
	const char *base;
	size_t size;
	uint32_t expected; /* bit i: output i is compared */
	bool by_shape;     /* that is all there is to compare: the state has moved on */
};

/* Running */

static uint64_t worked_ns(clockid_t whose)
{
	struct timespec t;

	clock_gettime(whose, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int run_once(struct stage *s, const struct scene *c)
{
	uint64_t all_ns = worked_ns(CLOCK_PROCESS_CPUTIME_ID), own_ns = worked_ns(CLOCK_THREAD_CPUTIME_ID);
	int r;

	rehearsal_attach(s->rehearsal, c->base, c->size);
	atomic_store_explicit(s->running, c->index + 1, memory_order_release);
	r = rehearsal_run(s->rehearsal, s->image, c->recording);
	atomic_store_explicit(s->running, 0, memory_order_release);
	s->own_ns = worked_ns(CLOCK_THREAD_CPUTIME_ID) - own_ns;
	all_ns = worked_ns(CLOCK_PROCESS_CPUTIME_ID) - all_ns;
	s->others_ns = all_ns > s->own_ns ? all_ns - s->own_ns : 0;
	return r;
}

static enum proof_outcome judge_once(struct stage *s, const struct scene *c, struct proof_fault *fault)
{
	const struct judge judge = {
		.image = s->image,
		.recording = c->recording,
		.base = c->base,
		.rehearsal = s->rehearsal,
		.tolerances = s->order->cases[c->index].tolerances,
		.expected = c->expected,
		.by_shape = c->by_shape,
	};

	return run_once(s, c) == REHEARSAL_E_FOREIGN ? PROOF_FOREIGN : judge_answer(&judge, s->report, fault);
}

/* Copies of an answer's outputs, to see whether the next is the same; NULL: no memory. */
static void **keep_answer(const struct stage *s)
{
	const struct call *call = rehearsal_call(s->rehearsal);
	void **copies = xcalloc(DEVSERVE_MAX_TENSORS, sizeof(*copies));

	for (uint32_t i = 0; i < call->n_out; i++) {
		uint64_t size = call->tensors[call->n_in + i].size;

		copies[i] = malloc(size + 1);
		if (copies[i])
			memcpy(copies[i], rehearsal_output(s->rehearsal, i), size);
	}
	return copies;
}

static void forget_answer(void **copies)
{
	for (uint32_t i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		free(copies[i]);
	free(copies);
}

static bool is_another(const struct stage *s, const struct scene *c, void *const *copies)
{
	const struct call *call = rehearsal_call(s->rehearsal);

	for (uint32_t i = 0; i < call->n_out; i++) {
		const struct call_tensor *t = &call->tensors[call->n_in + i];
		const struct proof_tolerance *allowed = &s->order->cases[c->index].tolerances[i];
		const void *now = rehearsal_output(s->rehearsal, i);
		int64_t n = tensor_elements(t->shape, t->rank);
		struct comparison found;

		if (!copies[i] || t->dtype == DEVSERVE_BYTES || n < 0)
			continue;
		compare(t->dtype, copies[i], now, (uint64_t)n, judge_tolerance(allowed, t->dtype), &found);
		if (!comparison_agrees(&found))
			return true;
	}
	return false;
}

static bool has_other_sizes(const struct call *call, const uint64_t *sizes)
{
	for (uint32_t i = 0; i < call->n_out; i++)
		if (call->tensors[call->n_in + i].size != sizes[i])
			return true;
	return false;
}

/* The last call had others work for it, so they may be held up. */
static bool has_company(const struct stage *s)
{
	return s->others_ns > COMPANY_NS && !s->image->gpu;
}

/* False: nothing can be said of it, and of those that follow. */
static bool run_disturbed(struct stage *s, const struct scene *c, uint64_t call_ns, int *ret)
{
	disturb_begin(call_ns);
	*ret = run_once(s, c);
	return disturb_end();
}

/* Whether it answers otherwise when it is asked again: in shape, then there is nothing to compare, or in value. */
static bool varies(struct stage *s, const struct scene *c, bool disturbed)
{
	void **copies = keep_answer(s);
	const struct call *call = rehearsal_call(s->rehearsal);
	uint64_t sizes[DEVSERVE_MAX_TENSORS], call_ns = call->compute_ns, started = clock_ns();
	bool found = false;

	for (uint32_t i = 0; i < call->n_out; i++)
		sizes[i] = call->tensors[call->n_in + i].size;
	for (unsigned i = 0; !found && (i < REPEATS || (disturbed && i < DISTURBED && clock_ns() - started < DISTURBED_NS)); i++) {
		int r = 0;

		if (!disturbed)
			r = run_once(s, c);
		else if (!run_disturbed(s, c, call_ns, &r))
			break;
		found = r == 0 && (has_other_sizes(call, sizes) || is_another(s, c, copies));
	}
	forget_answer(copies);
	return found;
}

static enum proof_outcome blame_chance(struct proof_fault *fault, bool disturbed)
{
	size_t used = strlen(fault->sentence);

	fault->outcome = PROOF_VARIES;
	snprintf(fault->sentence + used, sizeof(fault->sentence) - used, "; asked again%s it answers otherwise: %s",
		 disturbed ? ", with its threads held up here and there," : "",
		 disturbed ? "a race, or chance" : "a race, memory that nobody wrote, or chance");
	return PROOF_VARIES;
}

static bool may_repeat(const struct stage *s, bool disturbed)
{
	return !s->stateful && s->repeated_ns < (disturbed ? DISTURBED_NS : REPEATS_NS) &&
	       s->own_ns + s->others_ns < SHORT_NS;
}

/* False: nothing can be said of it, and of the following. */
static bool judge_disturbed(struct stage *s, const struct scene *c, uint64_t call_ns, struct proof_fault *fault,
			    enum proof_outcome *ret)
{
	enum proof_outcome outcome;

	disturb_begin(call_ns);
	outcome = judge_once(s, c, fault);
	if (!disturb_end())
		return false;
	*ret = outcome;
	return true;
}

/* It went well once. */
static enum proof_outcome repeat(struct stage *s, const struct scene *c, struct proof_fault *fault)
{
	bool disturbed = has_company(s);
	uint64_t call_ns = rehearsal_call(s->rehearsal)->compute_ns;
	enum proof_outcome outcome = PROOF_AGREES;

	for (unsigned i = 0; i < (disturbed ? DISTURBED : REPEATS) && outcome == PROOF_AGREES && may_repeat(s, disturbed); i++) {
		uint64_t started = clock_ns();

		if (!disturbed)
			outcome = judge_once(s, c, fault);
		else if (!judge_disturbed(s, c, call_ns, fault, &outcome))
			break;
		s->repeated_ns += clock_ns() - started;
	}
	return outcome == PROOF_AGREES ? PROOF_AGREES : blame_chance(fault, disturbed);
}

static enum proof_outcome run_scene(struct stage *s, const struct scene *c, struct proof_fault *fault)
{
	enum proof_outcome outcome = judge_once(s, c, fault);
	bool disturbed = has_company(s);

	if (outcome == PROOF_AGREES)
		return repeat(s, c, fault);
	if ((outcome == PROOF_DIFFERS || outcome == PROOF_NAN) && !s->stateful && varies(s, c, disturbed))
		return blame_chance(fault, disturbed);
	return outcome;
}

/* Keeping books */

static bool accepts(const struct stage *s, enum proof_outcome outcome)
{
	return s->order->flags & PROOF_ACCEPT && proof_is_acceptable(outcome);
}

static void conclude(struct stage *s, uint32_t index, enum proof_outcome outcome, const struct proof_fault *fault)
{
	s->report->outcomes[index] = (uint8_t)outcome;
	if (!proof_is_at_fault(outcome))
		return;
	memcpy(s->report->sentences[index], fault->sentence, sizeof(fault->sentence));
	if (s->report->fault.index != UINT32_MAX)
		return;
	s->report->fault = *fault;
	s->report->fault.index = index;
	s->report->fault.outcome = outcome;
}

/* Golden cases */

/* Run it once more, and what it answers is what is to be expected from its swap on. */
static enum proof_outcome accept(struct stage *s, const struct scene *c, const struct golden *g, struct proof_fault *fault)
{
	_cleanup_free_ char *to = path_join(s->order->accepted, s->order->cases[c->index].name);

	if (run_once(s, c) != 0 || rehearsal_call(s->rehearsal)->status != 0) {
		snprintf(fault->sentence, sizeof(fault->sentence), "asked once more it doesn't answer");
		return PROOF_VARIES;
	}
	if (golden_accept(to, s->image, g, s->rehearsal, fault->sentence, sizeof(fault->sentence)) == 0)
		return PROOF_ACCEPTED;
	return PROOF_UNREADABLE;
}

static enum proof_outcome run_golden(struct stage *s, uint32_t index, const char *directory, bool write,
				     struct proof_fault *fault)
{
	struct golden g = { .base = NULL };
	enum proof_outcome outcome;
	struct scene c;

	if (golden_load(directory, s->image, &g, fault->sentence, sizeof(fault->sentence)) != 0)
		return PROOF_UNREADABLE;
	c = (struct scene){ .index = index, .recording = g.recording, .base = g.base, .size = g.size,
			    .expected = g.expected };
	outcome = write ? accept(s, &c, &g, fault) : run_scene(s, &c, fault);
	golden_fini(&g);
	return outcome;
}

/* @write: its outcome was that it differs, as intended. */
static void prove_golden(struct stage *s, uint32_t index, bool write)
{
	_cleanup_free_ char *directory = xasprintf("%s/%s", s->order->golden, s->order->cases[index].name);
	struct proof_fault fault = { .sentence = "" };
	int r = state_try(s->image, "", fault.sentence, sizeof(fault.sentence));
	enum proof_outcome outcome = r == 0 ? run_golden(s, index, directory, write, &fault) : PROOF_UNREADABLE;

	if (r == 0)
		state_try_end(s->image);
	conclude(s, index, accepts(s, outcome) ? PROOF_ACCEPTED : outcome, &fault);
}

/* All or none: an image that isn't to serve leaves what is expected as it was. */
static void write_accepted(struct stage *s)
{
	for (uint32_t i = 0; i < s->order->n_cases && s->report->fault.index == UINT32_MAX; i++)
		if (!s->order->cases[i].id && s->report->outcomes[i] == PROOF_ACCEPTED)
			prove_golden(s, i, true);
}

/* Recordings */

static uint64_t bytes_of(const struct recording *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_in + r->n_out; i++)
		n += r->tensors[i].size;
	return n;
}

static bool fits_into_time(const struct stage *s, const struct recording *r)
{
	uint64_t spent = clock_ns() - s->started_ns;

	return spent + r->compute_ns + bytes_of(r) / BYTES_PER_NS < s->order->budget_ns;
}

static void prove_recording(struct stage *s, uint32_t index)
{
	const struct recording *r = (const struct recording *)(s->recordings + s->order->cases[index].offset);
	struct scene c = { .index = index, .recording = r, .base = s->recordings, .size = s->size,
			   .expected = UINT32_MAX, .by_shape = s->stateful || s->order->cases[index].uncompared };
	struct proof_fault fault = { .sentence = "" };
	enum proof_outcome outcome = PROOF_NOT_RUN;

	if (fits_into_time(s, r))
		outcome = run_scene(s, &c, &fault);
	conclude(s, index, accepts(s, outcome) ? PROOF_ACCEPTED : outcome, &fault);
}

/* A copy of the state is read from a file. */
static bool state_fits_into_time(const struct stage *s)
{
	const struct devserve_state_extension *e =
		(const struct devserve_state_extension *)image_extension(s->image, DEVSERVE_STATE_ID);

	return !e || e->size / STATE_BYTES_PER_NS < s->order->budget_ns;
}

static void prove_recordings(struct stage *s, const char *state)
{
	char sentence[256];

	if (!s->order->recordings[0] || !state_fits_into_time(s) || rehearsal_map(s->order->recordings, &s->recordings, &s->size) < 0)
		return;
	if (state_try(s->image, state, sentence, sizeof(sentence)) == 0) {
		for (uint32_t i = 0; i < s->order->n_cases; i++)
			if (s->order->cases[i].id)
				prove_recording(s, i);
		state_try_end(s->image);
	}
	munmap((void *)s->recordings, s->size);
}

/* 0 or -ENOMEM. */
static int run(struct proof *p, const struct image *image, const char *state, _Atomic uint32_t *running)
{
	struct stage s = { .order = &p->order, .report = &p->report, .image = image, .running = running,
			   .started_ns = clock_ns() };

	p->report = (struct proof_report){ .fault = { .index = UINT32_MAX } };
	s.stateful = image_extension(image, DEVSERVE_STATE_ID) != NULL;
	p->report.is_stateful = s.stateful;
	s.rehearsal = rehearsal_new();
	if (!s.rehearsal)
		return -ENOMEM;
	rehearsal_poison(s.rehearsal, true);
	for (uint32_t i = 0; i < p->order.n_cases; i++)
		if (!p->order.cases[i].id)
			prove_golden(&s, i, false);
	prove_recordings(&s, state);
	write_accepted(&s);
	rehearsal_free(s.rehearsal);
	p->report.took_ns = clock_ns() - s.started_ns;
	return 0;
}

int proof_carry_out(struct link_shared *link, uint64_t fd, const struct image *image)
{
	_cleanup_free_ char *path = xasprintf("/proc/%u/fd/%llu", link->server_pid, (unsigned long long)fd);
	int own = open(path, O_RDWR | O_CLOEXEC), r;
	struct proof *p;

	if (own < 0)
		return -errno;
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
	close(own);
	if (p == MAP_FAILED)
		return -errno;
	r = run(p, image, link->load.state, &link->running);
	munmap(p, sizeof(*p));
	return r;
}
