/* SPDX-License-Identifier: MIT */

/*
 * One function a kind of line, and a table of which event is told by which. A save that swaps is
 * one line, made from save.done; a save that fails is told by the event that knows why
 * (build.failed, trial.failed, swap.refused), and its save.done prints nothing, nor does that of a
 * save which changed nothing or which a newer one overtook.
 */

#include "serve/event_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/columns.h"
#include "base/memory.h"
#include "build/build.h"
#include "replica/sanitizer.h"
#include "serve/companion_text.h"
#include "serve/compiler_text.h"
#include "serve/crash_text.h"
#include "serve/event.h"
#include "serve/loops_text.h"
#include "serve/proof_text.h"
#include "serve/style.h"
#include "serve/verdict_text.h"

static void put_reason(struct buffer *b, const struct event *e)
{
	if (!e->reason)
		return;
	buffer_puts(b, ": ");
	style_sentence(b, e->reason);
}

static void put_generation(struct buffer *b, const char *before, const struct event *e)
{
	if (e->generation)
		buffer_printf(b, "%sgeneration %" PRIu32, before, e->generation);
}

static void put_listening(const struct style *s, struct buffer *b, const struct event *e)
{
	buffer_printf(b, "%sdevserve%s " DEVSERVE_VERSION "  %s  %s\n", BOLD(s), PLAIN(s), e->url, e->path);
}

static void put_ready(const struct style *s, struct buffer *b, const struct event *e)
{
	bool all = e->n_serving == e->n_deployments;

	buffer_printf(b, "%sready%s", BOLD(s), PLAIN(s));
	if (e->took_ns) {
		buffer_puts(b, " in ");
		style_duration(b, e->took_ns);
	}
	if (e->n_deployments)
		buffer_printf(b, "  %s%u of %u serve%s", all ? "" : RED(s), e->n_serving, e->n_deployments,
			      all ? "" : PLAIN(s));
	buffer_printf(b, "  %s\n", e->url ? e->url : "");
}

static void put_removed(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_puts(b, "removed\n");
}

/* " (settle 10, gcc 78, trial 4, swap 0.2)" */
static void put_stages(const struct style *s, struct buffer *b, const struct event *e)
{
	const char *between = "";

	if (!e->n_stages && !e->cached)
		return;
	buffer_printf(b, " %s(", DIM(s));
	for (size_t i = 0; i < e->n_stages; i++) {
		buffer_printf(b, "%s%s ", between, e->stages[i].name);
		style_ms(b, e->stages[i].ns);
		between = ", ";
	}
	if (e->cached)
		buffer_printf(b, "%sno compile", between);
	buffer_printf(b, ")%s", PLAIN(s));
}

static void put_change(struct buffer *b, unsigned now, const unsigned *before)
{
	buffer_printf(b, "%u", now);
	if (before && *before != now)
		buffer_printf(b, " (%+d)", (int)(now - *before));
}

/* What decides how many of its threads run at a time, with what this save changed. */
static void put_kernels(const struct style *s, struct buffer *b, const struct event *e)
{
	for (size_t i = 0; i < e->n_kernels; i++) {
		const struct kernel_figures *k = &e->kernels[i], *before = event_kernel_before(e, k->name);

		buffer_printf(b, "    %s", DIM(s));
		style_sentence(b, k->name);
		buffer_puts(b, ": ");
		put_change(b, k->registers, before ? &before->registers : NULL);
		buffer_puts(b, " registers, ");
		put_change(b, k->shared, before ? &before->shared : NULL);
		buffer_printf(b, " bytes shared%s%s", PLAIN(s), k->spilled ? RED(s) : DIM(s));
		buffer_puts(b, ", ");
		put_change(b, k->spilled, before ? &before->spilled : NULL);
		buffer_printf(b, " bytes spilled%s%s%s\n", k->architecture[0] ? ", for " : "", k->architecture, PLAIN(s));
	}
}

/* Clients that ask as they did may be refused from here on. */
static void put_signature(const struct style *s, struct buffer *b, const struct event *e)
{
	if (!e->signature)
		return;
	buffer_printf(b, "    %s", YELLOW(s));
	style_sentence(b, e->signature);
	buffer_printf(b, "%s\n", PLAIN(s));
}

static void put_save(const struct style *s, struct buffer *b, const struct event *e)
{
	if (!e->outcome || strcmp(e->outcome, "swapped") != 0)
		return;
	style_head(s, b, e->deployment);
	buffer_printf(b, "%sgen ", GREEN(s));
	if (e->from && e->from != e->generation)
		buffer_printf(b, "%" PRIu32 "→", e->from);
	buffer_printf(b, "%" PRIu32 "%s  %s ", e->generation, PLAIN(s),
		      e->from ? "saved→serving" : "serving after");
	style_duration(b, e->took_ns);
	put_stages(s, b, e);
	if (e->sanitizer)
		buffer_printf(b, "  %sunder %s%s", YELLOW(s), e->sanitizer, PLAIN(s));
	if (e->identical)
		buffer_printf(b, "  %sidentical code%s", DIM(s), PLAIN(s));
	proof_text_put(s, b, e->proof);
	buffer_putc(b, '\n');
	put_signature(s, b, e);
	put_kernels(s, b, e);
}

/* In a check: nothing serves, but it could. */
static void put_tried(const struct style *s, struct buffer *b, const struct event *e)
{
	if (!e->outcome || strcmp(e->outcome, "swapped") != 0)
		return;
	style_head(s, b, e->deployment);
	buffer_printf(b, "%scan serve%s  built and tried in ", GREEN(s), PLAIN(s));
	style_duration(b, e->took_ns);
	put_stages(s, b, e);
	proof_text_put(s, b, e->proof);
	buffer_putc(b, '\n');
	put_kernels(s, b, e);
}

static uint32_t still_serving(const struct event *e)
{
	return e->from ? e->from : e->generation;
}

static void put_serving(struct buffer *b, const struct event *e)
{
	uint32_t generation = still_serving(e);

	if (generation)
		buffer_printf(b, "; generation %" PRIu32 " still serves\n", generation);
	else
		buffer_puts(b, "; nothing serves yet\n");
}

static bool is_error(const struct diagnostic *d)
{
	return d->severity && strstr(d->severity, "error");
}

/* ", 2 errors, the first at matmul/matmul.c:3:5"; how many there are */
static size_t put_errors(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct diagnostic *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < e->n_diagnostics; i++) {
		if (!is_error(&e->diagnostics[i]))
			continue;
		first = first ? first : &e->diagnostics[i];
		n++;
	}
	if (!n)
		return 0;
	buffer_printf(b, ", %zu error%s", n, n == 1 ? "" : "s");
	if (first->file) {
		buffer_puts(b, n == 1 ? " at " : ", the first at ");
		style_place(s, b, first->file, first->line, first->column);
	} else {
		buffer_puts(b, n == 1 ? ": " : ", the first: ");
		style_sentence(b, first->message);
	}
	return n;
}

static void put_build_failure(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_printf(b, "%sbuild failed%s", RED(s), PLAIN(s));
	if (!put_errors(s, b, e))
		put_reason(b, e);
}

static void put_build_failed(const struct style *s, struct buffer *b, const struct event *e)
{
	put_build_failure(s, b, e);
	put_serving(b, e);
}

static void put_failed_build(const struct style *s, struct buffer *b, const struct event *e)
{
	put_build_failure(s, b, e);
	buffer_putc(b, '\n');
}

/* A deployment is unavailable for want of a GPU, not a save. */
static void put_failure(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	if (e->no_device && !still_serving(e))
		buffer_printf(b, "%sunavailable%s", YELLOW(s), PLAIN(s));
	else
		buffer_printf(b, "%s%s%s", RED(s), e->kind == EVENT_TRIAL_FAILED ? "trial failed" : "swap refused",
			      PLAIN(s));
	put_reason(b, e);
}

static void put_failed(const struct style *s, struct buffer *b, const struct event *e)
{
	put_failure(s, b, e);
	put_serving(b, e);
	put_kernels(s, b, e);
}

static void put_failed_check(const struct style *s, struct buffer *b, const struct event *e)
{
	if (e->no_device) {
		style_head(s, b, e->deployment);
		buffer_printf(b, "%sskipped%s, builds", YELLOW(s), PLAIN(s));
		put_reason(b, e);
	} else {
		put_failure(s, b, e);
	}
	buffer_putc(b, '\n');
	put_kernels(s, b, e);
}

/* What a sanitizer found is told by a line of its own, which comes with its place. */
static void put_how(struct buffer *b, const char *how)
{
	const char *end = strstr(how, "anitizer: ");
	_cleanup_free_ char *start = end ? xstrndup(how, (size_t)(end + strlen("anitizer") - how)) : NULL;

	style_sentence(b, start ? start : how);
}

static void put_worker_died(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_printf(b, "%sworker %d%s", RED(s), e->pid, PLAIN(s));
	put_generation(b, " of ", e);
	buffer_putc(b, ' ');
	put_how(b, e->reason ? e->reason : "died");
	buffer_putc(b, '\n');
}

static void put_crashed(const struct style *s, struct buffer *b, const struct event *e)
{
	bool crashed = !e->signal || strcmp(e->signal, "SIGXCPU") != 0; /* that is what we send */

	style_head(s, b, e->deployment);
	buffer_printf(b, "%s%s%s", RED(s), crashed ? "crashed" : "interrupted", PLAIN(s));
	put_generation(b, " in ", e);
	buffer_puts(b, ": it ");
	style_sentence(b, e->what ? e->what : e->reason ? e->reason : "");
	buffer_putc(b, '\n');
}

static void put_found(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_printf(b, "%s%s%s", RED(s), sanitizer_tool(e->text), PLAIN(s));
	put_generation(b, " in ", e);
	buffer_puts(b, ": ");
	style_sentence(b, e->what);
	buffer_putc(b, '\n');
}

static void put_worker_replaced(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_printf(b, "worker %d took over", e->pid);
	if (e->took_ns >= NS_PER_MS / 2) { /* else it waited, loaded */
		buffer_puts(b, " after ");
		style_duration(b, e->took_ns);
	}
	put_generation(b, ", ", e);
	buffer_putc(b, '\n');
}

static void put_fell_back(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_printf(b, "%sgeneration %" PRIu32 " crashed%s (", RED(s), e->from, PLAIN(s));
	style_sentence(b, e->reason ? e->reason : "");
	buffer_printf(b, "), generation %" PRIu32 " serves again; %" PRIu32 " isn't loaded until its source "
		      "changes\n", e->generation, e->from);
}

static void put_rolled_back(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_printf(b, "%sgen %" PRIu32 "→%" PRIu32 "%s  rolled back in ", GREEN(s), e->from, e->generation, PLAIN(s));
	style_duration(b, e->took_ns);
	buffer_puts(b, "\n");
}

static void put_overflow(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_puts(b, "more changed at once than the kernel tells of; looked at everything\n");
}

static void put_notice(const struct style *s, struct buffer *b, const struct event *e)
{
	style_head(s, b, e->deployment);
	buffer_puts(b, YELLOW(s));
	style_sentence(b, e->reason ? e->reason : "");
	buffer_printf(b, "%s\n", PLAIN(s));
}

static void put_log(const struct style *s, struct buffer *b, const struct event *e)
{
	bool serious = e->level && (strcmp(e->level, "error") == 0 || strcmp(e->level, "warning") == 0);
	const char *line = e->text ? e->text : "";

	while (*line) {
		size_t size = strcspn(line, "\n");

		buffer_printf(b, "%s%s │ %s", DIM(s), e->deployment ? e->deployment : "devserve",
			      serious ? PLAIN(s) : "");
		style_harmless(b, line, size);
		buffer_printf(b, "%s\n", PLAIN(s));
		line += size + (line[size] == '\n');
	}
}

typedef void (*put_fn)(const struct style *s, struct buffer *b, const struct event *e);

static void put_compiler_text(const struct style *s, struct buffer *b, const struct event *e)
{
	compiler_text(s, b, e->text);
}

static void put_stopped(const struct style *s, struct buffer *b, const struct event *e)
{
	(void)s, (void)e;
	buffer_puts(b, "stopped\n");
}

/*
 * Verbatim text before and after a line of ours, which alone is broken where it is too long.
 * What isn't here prints nothing.
 */
static const struct telling {
	put_fn before, line, after;
	put_fn check; /* the line of a check, where it is another */
} tellings[] = {
	[EVENT_SERVER_LISTENING] = { .line = put_listening },
	[EVENT_SERVER_READY] = { .line = put_ready },
	[EVENT_SERVER_STOPPED] = { .line = put_stopped },
	[EVENT_DEPLOYMENT_REMOVED] = { .line = put_removed },
	[EVENT_BUILD_FAILED] = { .before = put_compiler_text, .line = put_build_failed,
				 .check = put_failed_build },
	[EVENT_BUILD_WARNED] = { .before = put_compiler_text },
	[EVENT_TRIAL_FAILED] = { .line = put_failed, .after = proof_text_advice, .check = put_failed_check },
	[EVENT_SWAP_REFUSED] = { .line = put_failed, .check = put_failed_check },
	[EVENT_SAVE_DONE] = { .line = put_save, .check = put_tried },
	[EVENT_LOOPS_CHANGED] = { .line = loops_text },
	[EVENT_WORKER_DIED] = { .line = put_worker_died },
	[EVENT_CRASH_REPORT] = { .line = put_crashed, .after = crash_text },
	[EVENT_SANITIZER_REPORT] = { .line = put_found, .after = finding_text },
	[EVENT_WORKER_REPLACED] = { .line = put_worker_replaced },
	[EVENT_DEPLOYMENT_FELL_BACK] = { .line = put_fell_back },
	[EVENT_VERDICT] = { .line = verdict_text },
	[EVENT_CANARY_STARTED] = { .line = companion_text_started },
	[EVENT_CANARY_VERDICT] = { .line = companion_text_verdict },
	[EVENT_CANARY_ENDED] = { .line = companion_text_ended },
	[EVENT_SHADOW_STARTED] = { .line = companion_text_started },
	[EVENT_SHADOW_VERDICT] = { .line = companion_text_verdict },
	[EVENT_SHADOW_DIFFERS] = { .line = companion_text_differs },
	[EVENT_SHADOW_ENDED] = { .line = companion_text_ended },
	[EVENT_DEPLOYMENT_ROLLED_BACK] = { .line = put_rolled_back },
	[EVENT_WATCH_OVERFLOW] = { .line = put_overflow },
	[EVENT_NOTICE] = { .line = put_notice },
	[EVENT_LOG] = { .before = put_log },
};

void event_text(const struct style *s, struct buffer *b, const struct event *e, bool checking, size_t columns)
{
	struct telling how = (size_t)e->kind < ARRAY_SIZE(tellings) ? tellings[e->kind] : (struct telling){ .line = NULL };
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	if (how.before)
		how.before(s, b, e);
	if (checking && how.check)
		how.line = how.check;
	if (how.line)
		how.line(s, &line, e);
	columns_fold(b, buffer_text(&line), line.size, columns);
	if (how.after && !(checking && how.check)) /* which has nobody to give advice to */
		how.after(s, b, e);
}
