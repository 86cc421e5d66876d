/* SPDX-License-Identifier: MIT */

/*
 * Batch
 *
 * Requests that are answered by one call: which ones are joined, and when, is for deploy/lane.c, and what
 * the worker reads of them for deploy/call.c.
 *
 * Whoever made a batch either submits it, which hands it over, or discards it. From then on it
 * lives while it is in flight, and after that while a member still reads its outputs.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/dtype.h"
#include "infer/signature.h"
#include "ring/call.h"

#define SHORT_NS (30 * NS_PER_US) /* of a call: below, its worker shares the server's CPU */
#define LONG_NS (80 * NS_PER_US)  /* above, it gets its own; between, it stays where it is */
#define MIN_SPILL_GUESS UINT64_C(16384)
#define MAX_SPILL_GUESS (UINT64_C(64) << 20)

/* Memory and life */

struct batch *batch_new(struct deployment *d, struct signature *signature)
{
	struct batch *b = SLIST_FIRST(&d->deploy->free_batches);

	if (b)
		SLIST_REMOVE_HEAD(&d->deploy->free_batches, entry);
	else
		b = xmalloc(sizeof(*b));
	b->ticket = TICKET_BATCH;
	b->deployment = d;
	b->arena = &d->arena;
	b->copy = NULL;
	b->seat = NULL;
	b->signature = signature_ref(signature);
	b->rows = 0;
	b->n_members = b->n_users = b->n_granted = b->n_orphans = 0;
	b->block = 0;
	b->unwanted = false;
	deployment_ref(d);
	return b;
}

void batch_discard(struct batch *b)
{
	struct deployment *d = b->deployment;

	if (b->block)
		arena_release(b->arena, b->block);
	for (unsigned i = 0; i < b->n_granted; i++)
		arena_release(b->arena, b->granted[i]);
	for (unsigned i = 0; i < b->n_orphans; i++)
		arena_release(b->arena, b->orphans[i]);
	signature_unref(b->signature);
	SLIST_INSERT_HEAD(&d->deploy->free_batches, b, entry);
	deployment_settle_removal(d);
	deployment_unref(d);
}

void batch_drop_user(struct batch *b)
{
	if (--b->n_users == 0)
		batch_discard(b);
}

/* Nobody waits for it any more: if it hasn't begun, it needn't. */
static void disown(struct batch *b)
{
	struct call *call = (struct call *)(b->arena->base + b->block);

	for (unsigned i = 0; i < b->n_members; i++)
		if (b->members[i].request)
			return;
	b->unwanted = true;
	__atomic_store_n(&call->unwanted, 1, __ATOMIC_RELAXED);
}

/* The client went away. Its inputs stay: the kernel may be reading them. */
void batch_forget(struct batch *b, struct infer_request *r)
{
	for (unsigned i = 0; i < b->n_members; i++) {
		if (b->members[i].request != r)
			continue;
		b->members[i].request = NULL;
		if (r->has_block) {
			b->orphans[b->n_orphans++] = r->block;
			r->has_block = false;
		}
		disown(b);
		return;
	}
	batch_drop_user(b); /* it was answered already and is being sent */
}

uint64_t batch_grant(struct batch *b, uint64_t size)
{
	struct arena *arena = b->arena;
	uint64_t offset;

	if (b->n_granted == ARRAY_SIZE(b->granted))
		return 0;
	offset = arena_reserve(arena, size);
	if (offset)
		b->granted[b->n_granted++] = offset;
	return offset;
}

void batch_add(struct batch *b, struct waiting *w)
{
	b->members[b->n_members].request = w->request;
	b->members[b->n_members].rows = w->request->batch;
	b->members[b->n_members].since_ns = w->since_ns;
	b->members[b->n_members].attempts = w->attempts;
	b->n_members++;
	b->rows += w->request->batch;
}

/* Submitting */

static void refuse_members(struct batch *b, enum infer_status status, const char *sentence)
{
	for (unsigned m = 0; m < b->n_members; m++)
		if (b->members[m].request)
			deployment_refuse(b->deployment, b->members[m].request, status,
					  b->members[m].since_ns, sentence);
	batch_discard(b);
}

void batch_submit(struct batch *b, struct seat *seat, int r, uint64_t spill)
{
	if (r == -EOVERFLOW) {
		refuse_members(b, INFER_TOO_LARGE, "the outputs would not fit into the memory budget (--max-memory)");
		return;
	}
	if (r < 0) {
		refuse_members(b, INFER_UNAVAILABLE, "no memory for the outputs now; the budget is --max-memory");
		return;
	}
	batch_write(b, spill);
	for (unsigned m = 0; m < b->n_members; m++)
		b->members[m].request->deploy = b;
	batch_launch(b, seat);
	b->due_from_ns = b->members[0].since_ns;
}

void batch_launch(struct batch *b, struct seat *seat)
{
	int r;

	b->submitted_ns = b->due_from_ns = clock_ns();
	b->seat = seat;
	b->replica = seat->serving;
	b->generation = seat->generation;
	LIST_INSERT_HEAD(&seat->batches, b, flying);
	deploy_look_later(b->deployment->deploy);
	r = replica_call(seat->serving, b->block, b);
	assert(r == 0); /* there was room */
}

/* @compute_ns and sizes are the worker's word: bounded, since they steer only how much we wait. */
static void learn(struct batch *b, const struct call *call, uint64_t compute_ns)
{
	struct deployment *d = b->deployment;
	uint64_t spilled = 0, *window_ns = companion_has(b->seat) ? &d->companion.window_ns : &d->window_ns;

	for (uint32_t i = 0; i < b->signature->n_outputs; i++)
		if (!b->outputs[i].offset)
			spilled += output_room(call->tensors[b->signature->n_inputs + i].size);
	if (spilled < MIN_SPILL_GUESS)
		spilled = MIN_SPILL_GUESS;
	if (spilled > MAX_SPILL_GUESS)
		spilled = MAX_SPILL_GUESS;
	if (spilled > d->spill_guess)
		d->spill_guess = spilled;
	else
		d->spill_guess -= (d->spill_guess - spilled) / 64;
	*window_ns = *window_ns ? (*window_ns * 7 + compute_ns) / 8 : compute_ns;
	if (b->seat->serving && (*window_ns < SHORT_NS || *window_ns > LONG_NS))
		replica_set_beside(b->seat->serving, *window_ns < SHORT_NS);
	d->stats.executions++;
	d->stats.compute_ns += compute_ns;
}

/*
 * Answer every member. The batch stays until the last one that got outputs releases it; an
 * extra user of our own keeps it while callbacks run.
 */
static void finish(struct batch *b, enum infer_status status, const char *sentence, size_t size,
		   uint64_t compute_ns)
{
	b->n_users = 1;
	if (status == INFER_OK && !companion_has(b->seat)) /* of what serves: others are to be compared with it */
		record_offer(b, compute_ns);
	if (b->deployment->companion.kind)
		companion_saw(b, status, compute_ns);
	for (unsigned m = 0; m < b->n_members; m++) {
		struct infer_request *r = b->members[m].request;

		if (!r)
			continue;
		b->members[m].request = NULL;
		r->generation = b->generation;
		r->compute_ns = compute_ns;
		r->queue_ns = b->submitted_ns - b->members[m].since_ns;
		r->deploy = NULL;
		if (status == INFER_OK) {
			r->n_outputs = b->signature->n_outputs;
			r->status = INFER_OK;
			r->deploy = b;
			b->n_users++;
		} else {
			b->deployment->stats.failures++;
			infer_request_refuse(r, status, "%.*s", (int)size, sentence);
		}
		b->deployment->stats.queue_ns += r->queue_ns;
		r->done(r);
	}
	batch_drop_user(b);
}

static void finish_failed(struct batch *b, const struct call *call, int status, uint64_t compute_ns)
{
	char sentence[CALL_ERROR_SIZE];
	uint32_t size = call->error_size;

	if (size > sizeof(sentence))
		size = 0;
	memcpy(sentence, call->error, size);
	if (!size)
		size = (uint32_t)snprintf(sentence, sizeof(sentence), "infer() returned %d (%s)", status,
					  strerror(-status));
	finish(b, infer_status_from_errno(status), sentence, size, compute_ns);
}

bool batch_was_skipped(const struct batch *b)
{
	const struct call *call = (struct call *)(b->arena->base + b->block);

	return b->unwanted && call->status == -ECANCELED;
}

void batch_done(struct batch *b)
{
	static const char nonsense[] = "the deployment answered with an output that isn't its own memory";
	const struct call *call = (struct call *)(b->arena->base + b->block);
	uint64_t elapsed = clock_ns() - b->submitted_ns, compute_ns = call->compute_ns;
	int32_t status = call->status;

	if (compute_ns > elapsed)
		compute_ns = elapsed;
	if (!b->unwanted)
		learn(b, call, compute_ns);
	LIST_REMOVE(b, flying);
	if (status < 0) {
		finish_failed(b, call, status < -4095 ? -EIO : status, compute_ns);
		return;
	}
	if (outputs_read(b, call))
		finish(b, INFER_OK, NULL, 0, compute_ns);
	else
		finish(b, INFER_INTERNAL, nonsense, sizeof(nonsense) - 1, 0);
}

void batch_fail(struct batch *b, enum infer_status status, const char *sentence)
{
	LIST_REMOVE(b, flying);
	finish(b, status, sentence, strlen(sentence), 0);
}

/* Its memory stays until the worker has ended with it. */
void batch_answer_early(struct batch *b, enum infer_status status, const char *sentence)
{
	for (unsigned m = 0; m < b->n_members; m++) {
		struct infer_request *r = b->members[m].request;

		if (!r)
			continue;
		batch_forget(b, r);
		r->deploy = NULL;
		deployment_refuse(b->deployment, r, status, b->members[m].since_ns, sentence);
		r->generation = b->generation;
	}
}

/* @blamed: 0 where they just wait again. */
static void put_members(struct batch *b, struct waiting_list *queue, unsigned *n_waiting, uint32_t blamed, bool begun)
{
	for (unsigned m = b->n_members; m-- > 0;) {
		struct waiting *w;

		if (!b->members[m].request)
			continue;
		w = waiting_new(b->deployment->deploy, b->members[m].request, b->members[m].since_ns);
		w->attempts = b->members[m].attempts + begun;
		w->place = blamed ? WAITING_IN_RETRY : WAITING_IN_QUEUE;
		w->blamed = blamed;
		TAILQ_INSERT_HEAD(queue, w, entry);
		++*n_waiting;
	}
	LIST_REMOVE(b, flying);
	batch_discard(b);
}

void batch_put_back(struct batch *b, bool begun)
{
	put_members(b, &b->deployment->queue, &b->deployment->n_waiting, 0, begun);
}

void batch_put_apart(struct batch *b, uint32_t blamed, bool begun)
{
	put_members(b, &b->deployment->retry.queue, &b->deployment->retry.n_waiting, blamed, begun);
}

void batch_submit_alone(struct deployment *d, struct seat *seat, struct waiting *w)
{
	struct batch *b = batch_new(d, w->request->signature);
	uint64_t spill = 0;

	batch_add(b, w);
	waiting_free(d->deploy, w);
	batch_submit(b, seat, batch_reserve(b, &spill), spill);
}

void batch_describe(const struct batch *b, struct buffer *ret)
{
	const struct call *call = (struct call *)(b->arena->base + b->block);
	const struct signature *s = b->signature;

	for (uint32_t i = 0; i < s->n_inputs; i++) {
		struct call_tensor t = call->tensors[i];
		uint32_t rank = s->inputs[i].rank + (s->max_batch_size ? 1 : 0);

		buffer_printf(ret, "%s%s %s[", i ? ", " : "", s->inputs[i].name, dtype_name(s->inputs[i].dtype));
		for (uint32_t k = 0; k < rank && k < DEVSERVE_MAX_RANK; k++)
			buffer_printf(ret, "%s%lld", k ? "," : "", (long long)t.shape[k]);
		buffer_puts(ret, "]");
	}
}
