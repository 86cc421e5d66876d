/* SPDX-License-Identifier: MIT */

/*
 * Speed is a product: each verdict compares a generation with the one that served before it, so
 * the first of the page is 1 and the others follow from there. Where nobody could tell, nothing
 * is taken to have changed.
 */

#include "cli/history_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/columns.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "cli/sparkline.h"
#include "history/reader.h"
#include "serve/style.h"

#define COLUMNS_OF_TREND 32

enum { GENERATION, SAVED, TOOK, SPEED, SERVED, NOTES, N_COLUMNS };

struct history_page {
	char *(*cells)[N_COLUMNS];
	bool *failed;
	size_t n;
	double *took, *speed; /* of those that came to serve: ms; by the first */
	uint32_t *numbers;
	size_t n_generations;
	unsigned n_unmeasured;
	bool any_speed;
};

struct history_page *history_page_new(void)
{
	return xcalloc(1, sizeof(struct history_page));
}

struct history_page *history_page_free(struct history_page *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++)
			free(p->cells[i][c]);
	free(p->cells);
	free(p->failed);
	free(p->took);
	free(p->speed);
	free(p->numbers);
	free(p);
	return NULL;
}

void history_time(struct buffer *ret, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[32];
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
	buffer_puts(ret, text);
}

/* Cells */

static char *time_cell(int64_t ms)
{
	struct buffer b = BUFFER_NULL;

	history_time(&b, ms);
	return buffer_steal(&b);
}

static char *took_cell(const struct history_row *row)
{
	struct buffer b = BUFFER_NULL;

	if (!row->generation)
		return xstrdup("-");
	style_duration(&b, (uint64_t)row->took_us * NS_PER_US);
	return buffer_steal(&b);
}

/* "1.34× faster [1.31, 1.37]" */
static char *speed_cell(const struct history_row *row)
{
	bool faster = strcmp(row->verdict, "FASTER") == 0;

	if (!*row->verdict)
		return xstrdup("");
	if (row->ratio <= 0)
		return xstrdup("unknown"); /* it could not be measured */
	if (!faster && strcmp(row->verdict, "SLOWER") != 0)
		return xstrdup(strcmp(row->verdict, "SAME") == 0 ? "same" : "unsure");
	if (faster || row->low <= 0 || row->high <= 0)
		return xasprintf("%.2f× %s [%.2f, %.2f]", faster ? row->ratio : 1 / row->ratio,
				 faster ? "faster" : "slower", row->low, row->high);
	return xasprintf("%.2f× slower [%.2f, %.2f]", 1 / row->ratio, 1 / row->high, 1 / row->low);
}

static char *served_cell(const struct history_row *row)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 } };
	const char *serves = row->serves ? ", serves" : "";

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (row->served_ms >= units[i].ms)
			return xasprintf("%" PRId64 " %s%s", row->served_ms / units[i].ms, units[i].unit, serves);
	if (!row->generation || (!row->served_ms && !row->serves))
		return xstrdup("");
	return xasprintf("%s%s", row->served_ms ? "< 1 s" : "", row->served_ms ? serves : "serves");
}

static void note(struct buffer *b, const char *text)
{
	buffer_printf(b, "%s%s", b->size ? ", " : "", text);
}

static char *notes_cell(const struct history_row *row)
{
	struct buffer b = BUFFER_NULL;
	_cleanup_free_ char *crashes = xasprintf("%u crash%s", row->n_crashes, row->n_crashes == 1 ? "" : "es");

	if (!row->generation) {
		buffer_puts(&b, row->outcome);
		if (*row->reason)
			buffer_puts(&b, ": ");
		style_sentence(&b, row->reason);
		return buffer_steal(&b);
	}
	if (row->pinned)
		note(&b, "pinned");
	if (row->accepted)
		note(&b, "accepted");
	if (row->n_crashes)
		note(&b, crashes);
	if (!row->kept) /* no image is ever kept that can't serve but in a worker for it */
		note(&b, *row->image ? "image gone" : "under a sanitizer");
	return b.size ? buffer_steal(&b) : xstrdup("");
}

static double speed_before(const struct history_page *p, uint32_t number)
{
	for (size_t i = p->n_generations; i > 0; i--)
		if (p->numbers[i - 1] == number)
			return p->speed[i - 1];
	return p->n_generations ? p->speed[p->n_generations - 1] : 1;
}

static void add_trend(struct history_page *p, const struct history_row *row)
{
	bool told = row->ratio > 0 && (strcmp(row->verdict, "FASTER") == 0 || strcmp(row->verdict, "SLOWER") == 0);
	double before = speed_before(p, row->before);
	size_t n = p->n_generations + 1;

	p->took = xrealloc(p->took, n * sizeof(*p->took));
	p->speed = xrealloc(p->speed, n * sizeof(*p->speed));
	p->numbers = xrealloc(p->numbers, n * sizeof(*p->numbers));
	p->took[n - 1] = (double)row->took_us / 1000;
	p->speed[n - 1] = told ? before * row->ratio : before;
	p->numbers[n - 1] = row->generation;
	p->any_speed |= told;
	p->n_unmeasured += *row->verdict && row->ratio <= 0;
	p->n_generations = n;
}

void history_page_add(struct history_page *p, const struct history_row *row)
{
	char **cells;

	if ((p->n & (p->n + 1)) == 0) { /* twice as much, now and then */
		p->cells = xrealloc(p->cells, 2 * (p->n + 1) * sizeof(*p->cells));
		p->failed = xrealloc(p->failed, 2 * (p->n + 1) * sizeof(*p->failed));
	}
	cells = p->cells[p->n];
	p->failed[p->n++] = !row->generation;
	cells[GENERATION] = row->generation ? xasprintf("%" PRIu32, row->generation) : xstrdup("-");
	cells[SAVED] = time_cell(row->at);
	cells[TOOK] = took_cell(row);
	cells[SPEED] = row->generation ? speed_cell(row) : xstrdup("");
	cells[SERVED] = served_cell(row);
	cells[NOTES] = notes_cell(row);
	if (row->generation)
		add_trend(p, row);
}

/* The page */

static void put_blanks(struct buffer *b, size_t n)
{
	memset(buffer_reserve(b, n), ' ', n);
	buffer_grow(b, n);
}

/* Thousands of lines have tens of thousands of cells: printf() would take most of the time. */
static void put_cell(const char *cell, size_t width, bool right, struct buffer *b)
{
	size_t columns = text_columns(cell), pad = width > columns ? width - columns : 0;

	if (right)
		put_blanks(b, pad);
	buffer_puts(b, cell);
	if (!right)
		put_blanks(b, pad);
}

static void put_line(char *const cells[N_COLUMNS], const size_t *widths, size_t width, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;
	const char *gap = "";
	size_t size;

	for (size_t c = 0; c < N_COLUMNS; c++) {
		if (!widths[c])
			continue;
		buffer_puts(&line, gap);
		put_cell(cells[c], widths[c], c == GENERATION || c == TOOK, &line);
		gap = "  ";
	}
	for (size = line.size; size && line.data[size - 1] == ' ';)
		size--;
	if (width && columns_of(line.data, size) > width) {
		columns_cut(ret, line.data, size, width - 1);
		buffer_puts(ret, "…");
	} else {
		buffer_append(ret, line.data, size);
	}
}

static void measure(const struct history_page *p, char *const titles[N_COLUMNS], size_t widths[N_COLUMNS])
{
	for (size_t c = 0; c < N_COLUMNS; c++)
		widths[c] = 0;
	for (size_t i = 0; i < p->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++) {
			size_t n = c == NOTES && p->failed[i] ? 1 : text_columns(p->cells[i][c]);

			widths[c] = n > widths[c] ? n : widths[c];
		}
	for (size_t c = 0; c < N_COLUMNS; c++)
		if (widths[c] && text_columns(titles[c]) > widths[c])
			widths[c] = text_columns(titles[c]);
}

void history_page_write(const struct history_page *p, size_t width, bool color, struct buffer *ret)
{
	char *const titles[N_COLUMNS] = { (char[]){ "GEN" }, (char[]){ "SAVED" }, (char[]){ "TO SERVING" },
					  (char[]){ "SPEED" }, (char[]){ "SERVED" }, (char[]){ "" } };
	size_t widths[N_COLUMNS];

	measure(p, titles, widths);
	buffer_puts(ret, color ? "\033[2m" : "");
	put_line(titles, widths, width, ret);
	buffer_puts(ret, color ? "\033[0m\n" : "\n");
	for (size_t i = 0; i < p->n; i++) {
		buffer_puts(ret, color && p->failed[i] ? "\033[2m" : "");
		put_line(p->cells[i], widths, width, ret);
		buffer_puts(ret, color && p->failed[i] ? "\033[0m\n" : "\n");
	}
}

void history_page_trends(const struct history_page *p, struct buffer *ret_took, struct buffer *ret_speed)
{
	double least = INFINITY, most = 0;
	size_t n = p->n_generations, first = n > COLUMNS_OF_TREND ? n - COLUMNS_OF_TREND : 0;

	if (!n)
		return;
	for (size_t i = first; i < n; i++) {
		least = p->took[i] < least ? p->took[i] : least;
		most = p->took[i] > most ? p->took[i] : most;
	}
	sparkline(ret_took, p->took, n, COLUMNS_OF_TREND);
	buffer_puts(ret_took, "  ");
	style_duration(ret_took, (uint64_t)(least * NS_PER_MS));
	buffer_puts(ret_took, " to ");
	style_duration(ret_took, (uint64_t)(most * NS_PER_MS));
	if (!p->any_speed)
		return;
	sparkline(ret_speed, p->speed, n, COLUMNS_OF_TREND);
	buffer_printf(ret_speed, "  %.2f× generation %" PRIu32, p->speed[n - 1] / p->speed[0], p->numbers[0]);
	if (p->n_unmeasured)
		buffer_printf(ret_speed, ", but for %u that could not be measured", p->n_unmeasured);
}
