/* SPDX-License-Identifier: MIT */
#include "cli/status_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "cli/companion.h"
#include "cli/gpus.h"
#include "cli/json_reader.h"
#include "deploy/deploy.h"
#include "serve/style.h"

#define GAP 2

enum { NAME, STATE, GENERATION, STALE, REPLICAS, REQUESTS, FAILED, QUEUE, MEAN, LAST_SAVE, N_COLUMNS };

struct table {
	char *(*cells)[N_COLUMNS];
	size_t n; /* rows, the titles included */
	bool color;
	size_t widths[N_COLUMNS]; /* 0: left out */
};

static char *number_cell(const struct json_reader *r, size_t i, const char *key)
{
	double value;

	if (!json_reader_number(r, &value, "/deployments/%zu/%s", i, key))
		return xstrdup("-");
	return xasprintf("%.0f", value);
}

static char *string_cell(const struct json_reader *r, size_t i, const char *key)
{
	const char *s = json_reader_string(r, "/deployments/%zu/%s", i, key);

	return xstrdup(s && *s ? s : "-");
}

static char *time_cell(const struct json_reader *r, size_t i, const char *key)
{
	double ns;

	if (!json_reader_number(r, &ns, "/deployments/%zu/%s", i, key) || ns <= 0)
		return xstrdup("-");
	return ns < 1e6 ? xasprintf("%.1f us", ns / 1e3) : xasprintf("%.1f ms", ns / 1e6);
}

/* Where nothing serves, nothing is stale. */
static char *stale_cell(const struct json_reader *r, size_t i)
{
	double generation;

	if (json_reader_number(r, &generation, "/deployments/%zu/generation", i) && generation == 0)
		return xstrdup("-");
	return string_cell(r, i, "stale");
}

static void put_row(char *cells[N_COLUMNS], const struct json_reader *r, size_t i)
{
	cells[NAME] = string_cell(r, i, "name");
	cells[STATE] = string_cell(r, i, "state");
	cells[GENERATION] = number_cell(r, i, "generation");
	cells[STALE] = stale_cell(r, i);
	cells[REPLICAS] = xasprintf("%zu", json_reader_count(r, "/deployments/%zu/workers", i));
	cells[REQUESTS] = number_cell(r, i, "requests");
	cells[FAILED] = number_cell(r, i, "failures");
	cells[QUEUE] = number_cell(r, i, "queued");
	cells[MEAN] = time_cell(r, i, "compute_ns_mean");
	cells[LAST_SAVE] = string_cell(r, i, "last_outcome");
}

static void table_init(struct table *t, const struct json_reader *r)
{
	static const char *const titles[N_COLUMNS] = {
		"NAME", "STATE", "GEN", "STALE", "REPLICAS", "REQUESTS", "FAILED", "QUEUE", "MEAN", "LAST SAVE",
	};

	t->n = 1 + json_reader_count(r, "/deployments");
	t->cells = xcalloc(t->n, sizeof(*t->cells));
	for (size_t c = 0; c < N_COLUMNS; c++)
		t->cells[0][c] = xstrdup(titles[c]);
	for (size_t i = 1; i < t->n; i++)
		put_row(t->cells[i], r, i - 1);
}

static void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++)
			free(t->cells[i][c]);
	free(t->cells);
}

static const char *color_of(const struct table *t, size_t row, size_t column)
{
	const char *cell = t->cells[row][column];

	if (!t->color)
		return "";
	if (row == 0)
		return "\033[2m";
	if (column == STALE)
		return strcmp(cell, "-") == 0 ? "" : "\033[33m";
	if (column != STATE)
		return "";
	if (strcmp(cell, "ready") == 0)
		return "\033[32m";
	return strcmp(cell, "loading") == 0 ? "\033[33m" : "\033[31m";
}

static void measure(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++) {
			size_t n = text_columns(t->cells[i][c]);

			t->widths[c] = n > t->widths[c] ? n : t->widths[c];
		}
}

static size_t total(const struct table *t)
{
	size_t sum = 0;

	for (size_t c = 0; c < N_COLUMNS; c++)
		sum += t->widths[c] ? t->widths[c] + GAP : 0;
	return sum - GAP;
}

/* Leave out what matters least until it fits. */
static void fit(struct table *t, size_t width)
{
	static const int order[] = { QUEUE, REPLICAS, LAST_SAVE, MEAN, FAILED, REQUESTS };

	measure(t);
	for (size_t i = 0; i < ARRAY_SIZE(order) && width && total(t) > width; i++)
		t->widths[order[i]] = 0;
}

static void put_cell(const struct table *t, size_t row, size_t column, bool last, struct buffer *b)
{
	const char *cell = t->cells[row][column], *color = color_of(t, row, column);
	bool words = column == NAME || column == STATE || column == STALE || column == LAST_SAVE;
	size_t pad = t->widths[column] - text_columns(cell);

	buffer_printf(b, "%s%*s%s%s%*s", color, words ? 0 : (int)pad, "", cell, *color ? "\033[0m" : "",
		      words && !last ? (int)pad : 0, "");
	buffer_printf(b, "%*s", last ? 0 : GAP, "");
}

static void put_table(const struct table *t, struct buffer *b)
{
	size_t last = 0;

	for (size_t c = 0; c < N_COLUMNS; c++)
		last = t->widths[c] ? c : last;
	for (size_t i = 0; i < t->n; i++) {
		for (size_t c = 0; c <= last; c++)
			if (t->widths[c])
				put_cell(t, i, c, c == last, b);
		buffer_putc(b, '\n');
	}
}

static void put_head(const struct json_reader *r, size_t width, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;
	const char *version = json_reader_string(r, "/version");
	const char *url = json_reader_string(r, "/url"), *root = json_reader_string(r, "/root");
	double pid, uptime;

	buffer_printf(&line, "devserve %s  %s", version ? version : "?", url ? url : "?");
	if (root)
		buffer_printf(&line, "  %s", root);
	if (json_reader_number(r, &pid, "/pid"))
		buffer_printf(&line, "  pid %.0f", pid);
	if (json_reader_number(r, &uptime, "/uptime_s"))
		buffer_printf(&line, "  up %.0f %s", uptime < 120 ? uptime : uptime / 60, uptime < 120 ? "s" : "min");
	columns_fold(ret, line.data, line.size, width);
	buffer_puts(ret, "\n\n");
}

/* What is too long for a column: why something doesn't serve, and what its deployment.yaml says. */

static void put_setting(struct buffer *b, const char *key, double value, double usual)
{
	if (value != usual)
		buffer_printf(b, "%s%s: %g", b->size ? ", " : "", key, value);
}

static void put_number(struct buffer *b, const struct json_reader *r, size_t i, const char *key, double usual)
{
	double value;

	if (json_reader_number(r, &value, "/deployments/%zu/settings/%s", i, key))
		put_setting(b, key, value, usual);
}

static void put_settings(const struct json_reader *r, size_t i, struct buffer *b)
{
	const struct deployment_settings usual = DEPLOYMENT_SETTINGS_DEFAULT;
	double ms;

	put_number(b, r, i, "num_replicas", usual.num_replicas);
	put_number(b, r, i, "max_ongoing_requests", usual.max_ongoing_requests);
	put_number(b, r, i, "request_timeout_s", usual.request_timeout_ms / 1000.0);
	if (json_reader_bool(r, "/deployments/%zu/settings/idempotent", i))
		buffer_printf(b, "%sidempotent: true", b->size ? ", " : "");
	if (json_reader_number(r, &ms, "/deployments/%zu/settings/state/checkpoint_ms", i))
		buffer_printf(b, "%sstate: {checkpoint_ms: %g}", b->size ? ", " : "", ms);
}

static void put_remark(const struct json_reader *r, size_t i, const char *text, size_t width, struct buffer *b)
{
	const char *name = json_reader_string(r, "/deployments/%zu/name", i);
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	if (!name || !text || !*text)
		return;
	buffer_printf(&line, "%s: ", name);
	style_harmless(&line, text, strlen(text));
	buffer_putc(b, '\n');
	columns_fold(b, line.data, line.size, width);
	buffer_putc(b, '\n');
}

static void put_companion(const struct json_reader *r, size_t i, size_t width, struct buffer *b)
{
	_cleanup_free_ char *path = xasprintf("/deployments/%zu/companion", i);
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	companion_describe(r, path, &line);
	put_remark(r, i, buffer_text(&line), width, b);
}

static void put_sanitizer(const struct json_reader *r, size_t i, size_t width, struct buffer *b)
{
	const char *name = json_reader_string(r, "/deployments/%zu/sanitizer", i);
	_cleanup_free_ char *line = xasprintf("under %s; 'devserve asan' ends that", name ? name : "a sanitizer");

	put_remark(r, i, line, width, b);
}

static void put_gpu_memory(const struct json_reader *r, const struct json_reader *gpus, size_t i, size_t width,
			   struct buffer *b)
{
	uint64_t bytes = gpus_memory(gpus, r, i);
	_cleanup_free_ char *line = xasprintf("%.1f GiB of the GPU's memory", (double)bytes / (1 << 30));

	if (bytes)
		put_remark(r, i, line, width, b);
}

static void put_gpus(const struct json_reader *gpus, size_t width, struct buffer *b)
{
	size_t n = gpus ? json_reader_count(gpus, "/gpus") : 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_buffer_ struct buffer line = BUFFER_NULL;

		buffer_puts(&line, "GPU: ");
		gpus_describe(gpus, i, &line);
		buffer_putc(&line, '\n');
		columns_fold(b, line.data, line.size, width);
	}
}

static void put_remarks(const struct json_reader *r, const struct json_reader *gpus, size_t width, struct buffer *b)
{
	size_t n = json_reader_count(r, "/deployments");

	for (size_t i = 0; i < n; i++) {
		_cleanup_buffer_ struct buffer settings = BUFFER_NULL;

		put_remark(r, i, json_reader_string(r, "/deployments/%zu/reason", i), width, b);
		put_companion(r, i, width, b);
		put_remark(r, i, json_reader_string(r, "/deployments/%zu/unrecorded", i), width, b);
		put_settings(r, i, &settings);
		put_remark(r, i, buffer_text(&settings), width, b);
		put_gpu_memory(r, gpus, i, width, b);
		if (json_reader_bool(r, "/deployments/%zu/sanitized", i))
			put_sanitizer(r, i, width, b);
	}
}

void status_page(const struct json_reader *r, const struct json_reader *gpus, size_t width, bool color,
		 struct buffer *ret)
{
	struct table t = { .color = color };

	put_head(r, width, ret);
	table_init(&t, r);
	fit(&t, width);
	if (t.n > 1)
		put_table(&t, ret);
	else
		buffer_puts(ret, "no deployments\n");
	table_fini(&t);
	put_remarks(r, gpus, width, ret);
	put_gpus(gpus, width, ret);
}
