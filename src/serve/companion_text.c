/* SPDX-License-Identifier: MIT */
#include "serve/companion_text.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "deploy/companion.h"
#include "serve/event.h"
#include "serve/style.h"

void companion_text_started(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct companion_facts *f = e->companion;

	style_head(s, b, e->deployment);
	buffer_printf(b, "%s%s%s: generation %" PRIu32, GREEN(s), companion_name(f->kind), PLAIN(s), f->generation);
	if (f->kind == COMPANION_CANARY)
		buffer_printf(b, " answers %.3g %% of the requests", f->share * 100);
	else
		buffer_puts(b, " gets copies of the requests");
	buffer_printf(b, ", generation %" PRIu32 " %s\n", f->serving_generation,
		      f->kind == COMPANION_CANARY ? "the others" : "answers them");
}

void companion_text_verdict(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct companion_facts *f = e->companion;

	style_head(s, b, e->deployment);
	buffer_printf(b, "%s: generation %" PRIu32 " beside %" PRIu32 "  ", companion_name(f->kind), f->generation,
		      f->serving_generation);
	verdict_describe(&f->verdict, b);
	buffer_putc(b, '\n');
}

void companion_text_differs(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct companion_facts *f = e->companion;

	style_head(s, b, e->deployment);
	buffer_printf(b, "%sshadow differs%s: generation %" PRIu32 ", ", RED(s), PLAIN(s), f->generation);
	style_sentence(b, e->reason ? e->reason : "");
	buffer_printf(b, " (%" PRIu64 " of %" PRIu64 " calls so far)\n", f->differing, f->compared);
}

/* "generation 7: 120 requests, 3 failed, 1.2 ms" */
static void put_side(struct buffer *b, uint32_t generation, const struct companion_side *c)
{
	buffer_printf(b, "generation %" PRIu32 ": %" PRIu64 " requests", generation, c->requests);
	if (c->failures)
		buffer_printf(b, ", %" PRIu64 " failed", c->failures);
	if (c->median_ns >= NS_PER_MS)
		buffer_printf(b, ", median %.1f ms", (double)c->median_ns / NS_PER_MS);
	else if (c->median_ns)
		buffer_printf(b, ", median %.1f µs", (double)c->median_ns / NS_PER_US);
}

void companion_text_ended(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct companion_facts *f = e->companion;

	style_head(s, b, e->deployment);
	buffer_printf(b, "%s%s ended%s: ", YELLOW(s), companion_name(f->kind), PLAIN(s));
	style_sentence(b, e->reason ? e->reason : "");
	buffer_puts(b, "; ");
	put_side(b, f->generation, &f->beside);
	buffer_puts(b, "; ");
	put_side(b, f->serving_generation, &f->serving);
	if (f->kind == COMPANION_SHADOW)
		buffer_printf(b, "; %" PRIu64 " of %" PRIu64 " calls differ", f->differing, f->compared);
	buffer_putc(b, '\n');
}
