/* SPDX-License-Identifier: MIT */
#include "worker/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <devserve/deployment.h>

#include "array/array.h"
#include "base/buffer.h"
#include "compare/compare.h"
#include "compare/growth.h"
#include "compare/numbers.h"
#include "infer/dtype.h"
#include "infer/tensor.h"
#include "worker/image.h"
#include "worker/reference.h"
#include "worker/rehearsal.h"

/* One output on both sides. */
struct pair {
	uint32_t index;
	const char *name;
	const struct call_tensor *was, *is;
	const void *expected, *got;
	uint64_t n;
	struct tolerance tolerance;
};

static void copy_text(char *ret, size_t size, const struct buffer *b)
{
	snprintf(ret, size, "%s", buffer_text(b));
}

struct tolerance judge_tolerance(const struct proof_tolerance *t, uint32_t dtype)
{
	struct tolerance usual = tolerance_of(dtype);

	return (struct tolerance){ t->rtol < 0 ? usual.rtol : t->rtol, t->atol < 0 ? usual.atol : t->atol };
}

static struct pair pair_of(const struct judge *j, uint32_t i)
{
	const struct call *call = rehearsal_call(j->rehearsal);
	const struct proof_tolerance *t = &j->tolerances[i];
	struct pair p = {
		.index = i,
		.name = j->image->entry->outputs[i].name,
		.was = &j->recording->tensors[j->recording->n_in + i],
		.is = &call->tensors[call->n_in + i],
		.got = rehearsal_output(j->rehearsal, i),
	};

	p.expected = j->base + p.was->offset;
	p.n = (uint64_t)tensor_elements(p.was->shape, p.was->rank);
	p.tolerance = judge_tolerance(t, p.was->dtype);
	return p;
}

/* Words */

static bool is_unwritten(const struct pair *p, uint64_t at)
{
	size_t size = dtype_size(p->is->dtype);
	const unsigned char *element = (const unsigned char *)p->got + at * size;

	for (size_t i = 0; i < size; i++)
		if (element[i] != 0xff)
			return false;
	return size > 0 && numbers_are_floats(p->is->dtype);
}

static void put_element(char *ret, size_t size, const struct call_tensor *t, const void *data, uint64_t at)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	compare_put_element(&b, t->dtype, data, t->size, at);
	copy_text(ret, size, &b);
}

static void put_place(char *ret, size_t size, const struct pair *p, uint64_t at)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	compare_put_place(&b, at, p->was->shape, p->was->rank);
	copy_text(ret, size, &b);
}

static void put_share(struct buffer *b, const struct comparison *c)
{
	double percent = 100 * (double)c->n_beyond / (double)c->n;

	buffer_printf(b, "%" PRIu64 " of %" PRIu64 " element%s (%.*f %%)", c->n_beyond, c->n, c->n == 1 ? "" : "s", percent < 10 ? 2 : 0, percent);
}

static void put_differences(struct buffer *b, const struct pair *p, const struct comparison *c)
{
	buffer_puts(b, "; ");
	put_share(b, c);
	buffer_puts(b, c->n_beyond == 1 ? " differs" : " differ");
	if (p->was->dtype == DEVSERVE_BYTES || c->n_beyond == c->n_nan || c->max_abs == 0)
		return; /* NaN and infinity are no distance off */
	buffer_printf(b, ", at most by %.3g, relative %.3g", c->max_abs, c->max_rel);
	if (numbers_are_floats(p->was->dtype))
		buffer_printf(b, ", %" PRIu64 " ULP; allowed is %g + %g × |expected|", c->max_ulp, p->tolerance.atol,
			      p->tolerance.rtol);
}

static void describe(const struct pair *p, const struct comparison *c, struct proof_fault *ret)
{
	uint64_t at = c->worst;
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	put_place(ret->place, sizeof(ret->place), p, at);
	put_element(ret->expected, sizeof(ret->expected), p->was, p->expected, at);
	put_element(ret->got, sizeof(ret->got), p->is, p->got, at);
	buffer_printf(&b, "%s%s is %s and was %s", p->name, ret->place, ret->got, ret->expected);
	if (is_unwritten(p, at))
		buffer_puts(&b, " (infer() left it unwritten)");
	put_differences(&b, p, c);
	copy_text(ret->sentence, sizeof(ret->sentence), &b);
}

static void fill_in(const struct pair *p, const struct comparison *c, struct proof_fault *ret)
{
	snprintf(ret->output, sizeof(ret->output), "%s", p->name);
	ret->n = c->n;
	ret->n_beyond = c->n_beyond;
	ret->n_nan = c->n_nan;
	ret->max_abs = c->max_abs;
	ret->max_rel = c->max_rel;
	ret->max_ulp = c->max_ulp;
	describe(p, c, ret);
}

/* Numbers */

static void widen(struct proof_report *r, const struct comparison *c)
{
	r->max_abs = fmax(r->max_abs, c->max_abs);
	r->max_rel = fmax(r->max_rel, c->max_rel);
	r->max_ulp = c->max_ulp > r->max_ulp ? c->max_ulp : r->max_ulp;
}

static void put_growth(struct proof_fault *ret, const struct growth *g)
{
	size_t used = strlen(ret->sentence);

	ret->error_before = g->before;
	ret->error_after = g->after;
	snprintf(ret->sentence + used, sizeof(ret->sentence) - used,
		 "; against the reference the error grew from %.3g to %.3g", g->before, g->after);
}

/* Whether the new answer is as right as the old one, as far as anybody can say. */
static bool reference_forgives(const struct judge *j, const struct pair *p, struct proof_fault *ret_fault)
{
	struct reference reference;
	struct growth g;

	if (!numbers_are_floats(p->was->dtype) ||
	    reference_compute(j->image, j->recording, j->base, rehearsal_call(j->rehearsal), &reference) < 0)
		return false;
	growth_measure(p->was->dtype, p->expected, p->got, reference.outputs[p->index], p->n, &g);
	reference_fini(&reference);
	if (growth_is_fine(&g))
		return true;
	put_growth(ret_fault, &g);
	return false;
}

static enum proof_outcome judge_numbers(const struct judge *j, const struct pair *p, struct proof_report *report,
					struct proof_fault *fault)
{
	struct comparison c;

	if (p->was->dtype == DEVSERVE_BYTES)
		compare_bytes(p->expected, p->was->size, p->got, p->is->size, p->n, &c);
	else
		compare(p->was->dtype, p->expected, p->got, p->n, p->tolerance, &c);
	widen(report, &c);
	if (comparison_agrees(&c))
		return PROOF_AGREES;
	fill_in(p, &c, fault);
	if (reference_forgives(j, p, fault)) {
		report->n_forgiven++;
		return PROOF_AGREES;
	}
	return c.n_nan ? PROOF_NAN : PROOF_DIFFERS;
}

/* The first NaN; @n: there is none. */
static uint64_t find_nan(uint32_t dtype, const void *data, uint64_t n)
{
	double block[NUMBERS_BLOCK];

	for (uint64_t at = 0; at < n; at += NUMBERS_BLOCK) {
		uint64_t left = n - at < NUMBERS_BLOCK ? n - at : NUMBERS_BLOCK;

		numbers_read(dtype, data, at, left, block);
		for (uint64_t i = 0; i < left; i++)
			if (isnan(block[i]))
				return at + i;
	}
	return n;
}

static enum proof_outcome judge_nan(const struct pair *p, struct proof_fault *fault)
{
	uint64_t at;

	if (!numbers_are_floats(p->was->dtype) || find_nan(p->was->dtype, p->expected, p->n) < p->n)
		return PROOF_UNCOMPARED;
	at = find_nan(p->was->dtype, p->got, p->n);
	if (at == p->n)
		return PROOF_UNCOMPARED;
	snprintf(fault->output, sizeof(fault->output), "%s", p->name);
	put_place(fault->place, sizeof(fault->place), p, at);
	put_element(fault->got, sizeof(fault->got), p->is, p->got, at);
	snprintf(fault->sentence, sizeof(fault->sentence), "%s%s is %s%s; no element was NaN before", p->name,
		 fault->place, fault->got, is_unwritten(p, at) ? " (infer() left it unwritten)" : "");
	return PROOF_NAN;
}

/* Shapes */

static bool same_shape(const struct pair *p)
{
	return p->was->rank == p->is->rank &&
	       memcmp(p->was->shape, p->is->shape, p->is->rank * sizeof(*p->is->shape)) == 0;
}

/* Whether the image says that its outputs have that shape; if not it is a change of signature. */
static bool is_declared(const struct judge *j, const struct pair *p)
{
	const struct devserve_port *port = &j->image->entry->outputs[p->index];
	uint32_t front = j->image->entry->max_batch_size ? 1 : 0;

	if (p->was->dtype != port->dtype || p->was->rank != p->is->rank)
		return false;
	for (uint32_t i = front; i < p->was->rank; i++)
		if (port->shape[i - front] > 0 && port->shape[i - front] != p->was->shape[i])
			return false;
	return true;
}

static enum proof_outcome blame_shape(const struct pair *p, struct proof_fault *fault)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	snprintf(fault->output, sizeof(fault->output), "%s", p->name);
	buffer_printf(&b, "%s is ", p->name);
	array_put_type(&b, p->is->dtype, p->is->shape, p->is->rank);
	buffer_puts(&b, " and was ");
	array_put_type(&b, p->was->dtype, p->was->shape, p->was->rank);
	copy_text(fault->sentence, sizeof(fault->sentence), &b);
	return PROOF_SHAPE;
}

static enum proof_outcome judge_output(const struct judge *j, uint32_t i, struct proof_report *report,
				       struct proof_fault *fault)
{
	struct pair p = pair_of(j, i);

	if (!is_declared(j, &p))
		return PROOF_UNCOMPARED;
	if (!same_shape(&p))
		return j->by_shape ? PROOF_UNCOMPARED : blame_shape(&p, fault);
	return j->by_shape ? judge_nan(&p, fault) : judge_numbers(j, &p, report, fault);
}

/* The first element of @p that nobody wrote; @n: there is none. */
static uint64_t find_unwritten(const struct pair *p, uint64_t n)
{
	for (uint64_t at = 0; at < n; at++)
		if (is_unwritten(p, at))
			return at;
	return n;
}

/* What differs may be accepted, unless any of it is what nobody wrote. */
static enum proof_outcome judge_whole(const struct judge *j, enum proof_outcome outcome, struct proof_fault *fault)
{
	for (uint32_t i = 0; i < j->image->n_out && proof_is_acceptable(outcome); i++) {
		struct pair p = pair_of(j, i);
		uint64_t n = (uint64_t)tensor_elements(p.is->shape, p.is->rank), at;
		_cleanup_buffer_ struct buffer place = BUFFER_NULL;
		size_t used = strlen(fault->sentence);

		at = numbers_are_floats(p.is->dtype) ? find_unwritten(&p, n) : n;
		if (at == n)
			continue;
		compare_put_place(&place, at, p.is->shape, p.is->rank);
		snprintf(fault->sentence + used, sizeof(fault->sentence) - used, "; %s%s was left unwritten by infer()",
			 p.name, buffer_text(&place));
		return PROOF_NAN;
	}
	return outcome;
}

static enum proof_outcome judge_refusal(const struct call *call, struct proof_fault *fault)
{
	const char *name = strerrorname_np(call->status < 0 ? -call->status : call->status);

	if (call->status == -EPROTO && call->error_size && call->error_size <= CALL_ERROR_SIZE) { /* what it is says it all */
		snprintf(fault->sentence, sizeof(fault->sentence), "%.*s; it answered before", (int)call->error_size,
			 call->error);
		return PROOF_REFUSED;
	}
	snprintf(fault->sentence, sizeof(fault->sentence), "infer() returned %s%s%.*s; it answered before",
		 name ? name : "an error", call->error_size ? ": " : "",
		 (int)(call->error_size < CALL_ERROR_SIZE ? call->error_size : CALL_ERROR_SIZE), call->error);
	return PROOF_REFUSED;
}

enum proof_outcome judge_answer(const struct judge *j, struct proof_report *report, struct proof_fault *ret_fault)
{
	const struct call *call = rehearsal_call(j->rehearsal);
	enum proof_outcome outcome = PROOF_UNCOMPARED;

	if (call->status != 0)
		return j->by_shape ? PROOF_UNCOMPARED : judge_refusal(call, ret_fault);
	if (j->recording->n_out != j->image->n_out)
		return PROOF_UNCOMPARED;
	for (uint32_t i = 0; i < j->image->n_out; i++) {
		enum proof_outcome o = j->expected >> i & 1 ? judge_output(j, i, report, ret_fault) : PROOF_UNCOMPARED;

		if (proof_is_at_fault(o))
			return judge_whole(j, o, ret_fault);
		if (o == PROOF_AGREES)
			outcome = PROOF_AGREES;
	}
	return outcome;
}
