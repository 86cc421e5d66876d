/* SPDX-License-Identifier: MIT */
#include "serve/proof_text.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "deploy/proof.h"
#include "serve/event.h"
#include "serve/style.h"

/* Programs */

const char *proof_outcome_name(uint32_t outcome)
{
	switch (outcome) {
	case PROOF_AGREES:
		return "agrees";
	case PROOF_UNCOMPARED:
		return "uncompared";
	case PROOF_FOREIGN:
		return "foreign";
	case PROOF_ACCEPTED:
		return "accepted";
	case PROOF_DIFFERS:
		return "differs";
	case PROOF_NAN:
		return "nan";
	case PROOF_SHAPE:
		return "shape";
	case PROOF_REFUSED:
		return "refused";
	case PROOF_VARIES:
		return "varies";
	case PROOF_UNREADABLE:
		return "unreadable";
	default:
		return "died";
	}
}

static void put_text(struct buffer *b, const char *key, const char *text)
{
	if (text[0])
		json_string(b, key, text);
}

static void put_numbers(struct buffer *b, const struct proof_fault *f)
{
	json_uint(b, "elements", f->n);
	json_uint(b, "differ", f->n_beyond);
	json_uint(b, "nan", f->n_nan);
	json_double(b, "max_abs", f->max_abs);
	json_double(b, "max_rel", f->max_rel);
	json_uint(b, "max_ulp", f->max_ulp);
	if (f->error_before != f->error_after) {
		json_double(b, "error_before", f->error_before);
		json_double(b, "error_after", f->error_after);
	}
}

static void put_fault(struct buffer *b, const struct proof_summary *p)
{
	const struct proof_fault *f = &p->fault;

	json_object(b, "fault");
	json_string(b, "outcome", proof_outcome_name(f->outcome));
	if (p->recording)
		json_uint(b, "request", p->recording);
	put_text(b, "golden", p->golden);
	if (p->replay)
		json_uint(b, "replay", p->replay);
	put_text(b, "inputs", p->request);
	put_text(b, "output", f->output);
	put_text(b, "place", f->place);
	put_text(b, "expected", f->expected);
	put_text(b, "got", f->got);
	if (f->n)
		put_numbers(b, f);
	json_bool(b, "acceptable", p->acceptable);
	json_object_end(b);
}

void proof_json(struct buffer *b, const struct proof_summary *p)
{
	if (!p)
		return;
	json_object(b, "proof");
	json_uint(b, "golden", p->n_golden);
	json_uint(b, "requests", p->n_recordings);
	json_uint(b, "left_out", p->n_left_out);
	json_uint(b, "foreign", p->n_foreign);
	json_uint(b, "accepted", p->n_accepted);
	json_uint(b, "faults", p->n_faults);
	json_uint(b, "by_reference", p->n_forgiven);
	json_bool(b, "stateful", p->stateful);
	json_double(b, "max_abs", p->max_abs);
	json_double(b, "max_rel", p->max_rel);
	json_uint(b, "max_ulp", p->max_ulp);
	json_double(b, "took_ms", (double)p->took_ns / NS_PER_MS);
	if (p->n_faults)
		put_fault(b, p);
	json_object_end(b);
}

/* People */

static void put_count(struct buffer *b, const char **between, unsigned n, const char *one, const char *many)
{
	if (!n)
		return;
	buffer_printf(b, "%s%u %s", *between, n, n == 1 ? one : many);
	*between = ", ";
}

static void put_counts(struct buffer *b, const struct proof_summary *p)
{
	const char *between = "";

	put_count(b, &between, p->n_golden, "golden case", "golden cases");
	put_count(b, &between, p->n_recordings, "request", "requests");
	put_count(b, &between, p->n_left_out, p->n_recordings ? "more not run" : "request not run",
		  p->n_recordings ? "more not run" : "requests not run");
	put_count(b, &between, p->n_foreign, "no longer fits", "no longer fit");
}

void proof_text_put(const struct style *s, struct buffer *b, const struct proof_summary *p)
{
	unsigned n = p ? p->n_golden + p->n_recordings : 0;

	if (!n && !(p && p->n_left_out))
		return;
	buffer_puts(b, "  ");
	if (!n)
		buffer_printf(b, "%snot proved, for want of time%s", YELLOW(s), PLAIN(s));
	else if (p->n_accepted)
		buffer_printf(b, "%s%u other answer%s accepted%s", YELLOW(s), p->n_accepted, p->n_accepted == 1 ? "" : "s",
			      PLAIN(s));
	else if (p->n_foreign == n)
		buffer_printf(b, "%sanother signature%s", YELLOW(s), PLAIN(s));
	else if (p->stateful && p->n_recordings)
		buffer_puts(b, "runs on a copy of its state");
	else if (p->n_uncompared == n)
		buffer_puts(b, "runs, with nothing to compare");
	else if (p->n_forgiven)
		buffer_printf(b, "as right as before (max |Δ| %.2g)", p->max_abs);
	else if (p->max_abs > 0)
		buffer_printf(b, "same (max |Δ| %.2g)", p->max_abs);
	else
		buffer_puts(b, "same");
	buffer_printf(b, " %s(", DIM(s));
	put_counts(b, p);
	buffer_printf(b, ")%s", PLAIN(s));
}

void proof_text_advice(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct proof_summary *p = e->proof;

	if (!p || !p->n_faults || !e->deployment)
		return;
	if (p->replay)
		buffer_printf(b, "    %sdevserve replay %" PRIu64 " --gdb%s  runs it again, under gdb\n", BOLD(s), p->replay,
			      PLAIN(s));
	if (!p->acceptable)
		return;
	buffer_printf(b, "    %sy%s  or ", BOLD(s), PLAIN(s));
	buffer_printf(b, "%sdevserve accept ", BOLD(s));
	style_sentence(b, e->deployment);
	buffer_printf(b, "%s  if it is meant to answer so\n", PLAIN(s));
}
