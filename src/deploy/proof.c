/* SPDX-License-Identifier: MIT */

/*
 * The order is written into memory that one worker gets for one proof. Recordings are held as long,
 * so that none is written over while it is read. Of the report nothing decides but the outcomes, each
 * one of a few values; texts are cut off and shown.
 */

#include "deploy/proof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "golden/cases.h"
#include "infer/signature.h"
#include "ring/recording.h"

#define PATIENCE_NS (2 * NS_PER_S) /* at least */
#define PATIENCE_TIMES 100         /* as long as it took when it was recorded */

struct proving {
	struct deployment *deployment;
	const struct signature *signature;
	struct tolerance tolerance;
	struct proof *shared;
	int fd;
	struct recorder_view view;
	uint32_t n_golden, n_cases; /* ours: the worker may write anywhere in `shared` */
	char golden[GOLDEN_MAX_CASES][PROOF_NAME];
	bool other_weights[GOLDEN_MAX_CASES]; /* it was recorded with those */
};

/* The order */

/* A case's own, else the deployment's, which is for floats. */
static void tolerate(const struct proving *p, struct proof_case *c, const struct golden_case *from)
{
	const struct signature *s = p->signature;

	for (uint32_t i = 0; i < s->n_outputs; i++) {
		const struct tolerance *t = from ? golden_case_tolerance(from, s->outputs[i].name) : NULL;
		bool exact = tolerance_of(s->outputs[i].dtype).rtol == 0;

		t = t ? t : &p->tolerance;
		c->tolerances[i] = t == &p->tolerance && exact ? (struct proof_tolerance){ -1, -1 } :
								 (struct proof_tolerance){ t->rtol, t->atol };
	}
}

static void add_golden(struct proving *p, const struct golden_cases *g)
{
	struct proof_order *o = &p->shared->order;

	snprintf(o->golden, sizeof(o->golden), "%s", g->path);
	for (size_t i = 0; i < g->n; i++) {
		struct proof_case *c = &o->cases[p->n_cases++];

		snprintf(p->golden[i], sizeof(p->golden[i]), "%s", g->cases[i].name);
		memcpy(c->name, p->golden[i], sizeof(c->name));
		p->other_weights[i] = golden_case_has_other_weights(g, &g->cases[i]);
		tolerate(p, c, &g->cases[i]);
	}
	p->n_golden = p->n_cases;
}

static void add_recordings(struct proving *p, bool uncompared)
{
	struct proof_order *o = &p->shared->order;
	unsigned most = PROOF_MAX_CASES - p->n_cases;

	recorder_hold(&p->deployment->recorder, p->signature, most, &p->view);
	for (unsigned i = 0; i < p->view.n; i++) {
		const struct recording *r = recorder_at(&p->view, i);
		struct proof_case *c = &o->cases[p->n_cases++];

		c->id = r->id;
		c->offset = p->view.offsets[i];
		c->uncompared = uncompared || !deployment_answers_as(p->deployment, r->generation);
		tolerate(p, c, NULL);
	}
	snprintf(o->recordings, sizeof(o->recordings), "%s", p->view.n ? p->view.path : "");
}

/* As many threads as it will have when it serves. */
static unsigned threads_of(const struct deployment *d)
{
	unsigned cpus = (unsigned)CPU_COUNT(&d->deploy->hub->cpus);
	unsigned n = cpus / (d->settings.num_replicas ? d->settings.num_replicas : 1);

	return n ? n : 1;
}

/* 0 or -errno. */
static int open_memory(struct proving *p)
{
	void *map = MAP_FAILED;

	p->fd = memfd_create("proof", MFD_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	if (ftruncate(p->fd, sizeof(*p->shared)) == 0)
		map = mmap(NULL, sizeof(*p->shared), PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (map == MAP_FAILED) {
		int r = -errno;

		close(p->fd);
		return r;
	}
	p->shared = map;
	return 0;
}

/* 0 or -errno. */
static int make(struct deployment *d, const struct proof_plan *plan, struct proving **ret)
{
	struct proving *p = xcalloc(1, sizeof(*p));
	int r;

	p->deployment = d;
	p->signature = plan->signature;
	p->tolerance = plan->tolerance;
	r = open_memory(p);
	if (r < 0) {
		free(p);
		return r;
	}
	p->shared->order.budget_ns = plan->budget_ns;
	p->shared->order.flags = plan->accept ? PROOF_ACCEPT : 0;
	snprintf(p->shared->order.accepted, sizeof(p->shared->order.accepted), "%s", plan->accepted ? plan->accepted : "");
	if (plan->golden)
		add_golden(p, plan->golden);
	if (plan->recordings)
		add_recordings(p, plan->uncompared);
	p->shared->order.n_cases = p->n_cases;
	*ret = p;
	return 0;
}

int proving_start(struct deployment *d, const struct proof_plan *plan, struct replica *r, struct proving **ret)
{
	struct proving *p;
	int error = make(d, plan, &p);

	*ret = NULL;
	if (error < 0)
		return error;
	if (!p->n_cases) {
		proving_end(p);
		return 0;
	}
	replica_set_limits(r, threads_of(d), d->settings.checkpoint_ms);
	replica_prove(r, p->fd);
	*ret = p;
	return 0;
}

struct proving *proving_end(struct proving *p)
{
	if (!p)
		return NULL;
	if (p->view.path[0])
		recorder_release(&p->deployment->recorder, &p->view);
	munmap(p->shared, sizeof(*p->shared));
	close(p->fd);
	free(p);
	return NULL;
}

/* One case */

static const struct recording *recording_of(const struct proving *p, uint32_t index)
{
	return recorder_at(&p->view, index - p->n_golden);
}

static void name_case(const struct proving *p, uint32_t index, struct proof_summary *ret)
{
	_cleanup_buffer_ struct buffer request = BUFFER_NULL;
	const struct recording *r;

	if (index < p->n_golden) {
		memcpy(ret->golden, p->golden[index], sizeof(ret->golden));
		return;
	}
	r = recording_of(p, index);
	ret->recording = r->id;
	recorder_describe(r, recorder_signature(&p->deployment->recorder, r->id), &request);
	snprintf(ret->request, sizeof(ret->request), "%s", buffer_text(&request));
}

static void put_case(const struct proof_summary *s, struct buffer *ret)
{
	if (s->recording)
		buffer_printf(ret, "request %" PRIu64 " (%s)", s->recording, s->request);
	else
		buffer_printf(ret, "golden case \"%s\"%s", s->golden,
			      s->other_weights ? ", which was recorded with other weights" : "");
}

bool proving_at(const struct proving *p, uint32_t running, struct proof_summary *ret, struct buffer *what)
{
	if (!running || running > p->n_cases)
		return false;
	name_case(p, running - 1, ret);
	put_case(ret, what);
	return true;
}

uint64_t proving_patience_ns(const struct proving *p, uint32_t running, uint64_t *ret_took_ns)
{
	uint64_t most = p->deployment->settings.request_timeout_ms * NS_PER_MS, wanted;

	most = most ? most : DEPLOYMENT_SETTINGS_DEFAULT.request_timeout_ms * NS_PER_MS;
	*ret_took_ns = 0;
	if (!running || running <= p->n_golden || running > p->n_cases)
		return most;
	*ret_took_ns = recording_of(p, running - 1)->compute_ns;
	wanted = *ret_took_ns * PATIENCE_TIMES;
	wanted = wanted < PATIENCE_NS ? PATIENCE_NS : wanted;
	return wanted < most ? wanted : most;
}

/* The report */

static void cut(char *text, size_t size)
{
	text[size - 1] = '\0';
}

static void take_fault(const struct proving *p, struct proof_summary *ret)
{
	struct proof_fault *f = &ret->fault;

	cut(f->output, sizeof(f->output));
	cut(f->place, sizeof(f->place));
	cut(f->expected, sizeof(f->expected));
	cut(f->got, sizeof(f->got));
	cut(f->sentence, sizeof(f->sentence));
	if (f->index < p->n_cases)
		name_case(p, f->index, ret);
	ret->acceptable = proof_is_acceptable(f->outcome);
	ret->other_weights = ret->acceptable && f->index < p->n_golden && p->other_weights[f->index];
}

static void count(struct proof_summary *s, uint32_t outcome, bool golden)
{
	if (outcome == PROOF_NOT_RUN)
		s->n_left_out++;
	else if (golden)
		s->n_golden++;
	else
		s->n_recordings++;
	s->n_foreign += outcome == PROOF_FOREIGN;
	s->n_uncompared += outcome == PROOF_UNCOMPARED;
	s->n_accepted += outcome == PROOF_ACCEPTED;
	s->n_faults += proof_is_at_fault(outcome) ? 1 : 0;
}

void proving_read(const struct proving *p, struct proof_summary *ret)
{
	const struct proof_report *from = &p->shared->report;

	*ret = (struct proof_summary){ .max_abs = from->max_abs, .max_rel = from->max_rel, .max_ulp = from->max_ulp,
				       .took_ns = from->took_ns, .stateful = from->is_stateful, .n_forgiven = from->n_forgiven, .fault = from->fault };
	for (uint32_t i = 0; i < p->n_cases; i++)
		count(ret, from->outcomes[i], i < p->n_golden);
	if (ret->n_faults)
		take_fault(p, ret);
}

static void tell(const struct proving *p, uint32_t index)
{
	const struct deploy *d = p->deployment->deploy;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	uint32_t outcome = p->shared->report.outcomes[index];
	char sentence[PROOF_SENTENCE];

	memcpy(sentence, p->shared->report.sentences[index], sizeof(sentence));
	cut(sentence, sizeof(sentence));
	buffer_puts(&why, outcome == PROOF_NOT_RUN ? "the worker died before, or in it" : sentence);
	if (proof_is_acceptable(outcome) && p->other_weights[index])
		buffer_puts(&why, "; it was recorded with other weights than there are now: if these are meant, record it anew");
	d->cb.golden_case(d->cb.context, p->deployment->name, p->golden[index], outcome, buffer_text(&why));
}

void proving_tell(const struct proving *p)
{
	for (uint32_t i = 0; i < p->n_golden && p->deployment->deploy->cb.golden_case; i++)
		tell(p, i);
}

void proof_describe(const struct proof_summary *s, struct buffer *ret)
{
	unsigned n = s->n_golden + s->n_recordings;

	put_case(s, ret);
	buffer_printf(ret, ": %s", s->fault.sentence);
	if (s->n_faults > 1)
		buffer_printf(ret, " (the first of %u of %u that don't pass)", s->n_faults, n);
}
