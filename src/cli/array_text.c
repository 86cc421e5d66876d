/* SPDX-License-Identifier: MIT */

/*
 * A line is a run of elements: a row of a matrix, or as much of a vector as fits. All cells
 * that are shown have the same width, so that columns line up across lines.
 */

#include "cli/array_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/json.h"
#include "base/memory.h"
#include "array/array.h"
#include "infer/dtype.h"
#include "infer/json_numbers.h"

#define HEAD 12 /* lines that are shown before … */
#define TAIL 3  /* … and after what is left out */
#define GAP 2
#define LEAST_WIDTH 40 /* there is room for the longest label */

struct layout {
	const struct array *a;
	uint64_t row, n_rows; /* elements of a row, and how many there are */
	uint64_t per_line;    /* elements that are shown on a line */
	uint64_t n_lines;
	uint32_t n_index;     /* extents that a label names */
	int label, cell;      /* columns */
	bool wraps;           /* it is but one row */
	bool all;
};

static double number_at(const struct array *a, uint64_t i, bool *ret_is_float)
{
	const unsigned char *at = a->data + i * dtype_size(a->dtype);
	double d;
	float f;

	*ret_is_float = true;
	switch (a->dtype) {
	case DEVSERVE_FP64:
		memcpy(&d, at, sizeof(d));
		return d;
	case DEVSERVE_FP32:
		memcpy(&f, at, sizeof(f));
		return (double)f;
	case DEVSERVE_FP16:
	case DEVSERVE_BF16:
		array_widen(a->dtype, at, &f, 1);
		return (double)f;
	default:
		*ret_is_float = false;
		return 0;
	}
}

static void put_cell(struct buffer *b, const struct array *a, uint64_t i)
{
	char text[JSON_NUMBER_SIZE];
	bool is_float;
	double d = number_at(a, i, &is_float);
	char *end;

	if (is_float) {
		buffer_printf(b, "%.6g", d);
		return;
	}
	end = json_numbers(text, a->dtype, a->data + i * dtype_size(a->dtype), 1);
	buffer_append(b, text, (size_t)(end - text) - 1);
}

static bool is_shown(const struct layout *l, uint64_t line)
{
	return l->all || l->n_lines <= HEAD + TAIL + 1 || line < HEAD || line >= l->n_lines - TAIL;
}

/* "[1,2]": where the line starts. */
static void put_label(struct buffer *b, const struct layout *l, uint64_t line)
{
	const struct array *a = l->a;
	uint64_t index[DEVSERVE_MAX_RANK], at = l->wraps ? line * l->per_line : line;
	uint32_t n = l->n_index;

	for (uint32_t k = n; k-- > 0;) {
		index[k] = at % (uint64_t)a->shape[k];
		at /= (uint64_t)a->shape[k];
	}
	for (uint32_t k = 0; k < n; k++)
		buffer_printf(b, "%c%" PRIu64, k ? ',' : '[', index[k]);
	if (n)
		buffer_putc(b, ']');
}

static int widest_cell(const struct layout *l, uint64_t most)
{
	size_t widest = 1;

	for (uint64_t line = 0; line < l->n_rows; line++) {
		if (!is_shown(l, line)) {
			line = l->n_lines - TAIL - 1;
			continue;
		}
		for (uint64_t i = 0; i < l->row && i < most; i++) {
			_cleanup_buffer_ struct buffer cell = BUFFER_NULL;

			put_cell(&cell, l->a, line * l->row + i);
			widest = cell.size > widest ? cell.size : widest;
		}
	}
	return (int)widest;
}

static int widest_label(const struct layout *l)
{
	_cleanup_buffer_ struct buffer label = BUFFER_NULL;

	for (uint32_t k = 0; k < l->n_index; k++)
		buffer_printf(&label, "%c%" PRId64, k ? ',' : '[', l->a->shape[k] - 1);
	return label.size ? (int)label.size + 1 : 0;
}

static void lay_out(struct layout *l, size_t width)
{
	const struct array *a = l->a;
	uint64_t fit;

	l->row = a->rank ? (uint64_t)a->shape[a->rank - 1] : 1;
	l->n_rows = array_elements(a) / l->row;
	l->n_lines = l->n_rows;
	l->wraps = l->n_rows == 1;
	l->n_index = l->wraps ? a->rank : a->rank - 1;
	l->label = widest_label(l);
	l->cell = widest_cell(l, l->wraps ? (HEAD + TAIL) * width : width);
	fit = width > (size_t)l->label ? (width - (size_t)l->label) / (size_t)(l->cell + GAP) : 0;
	l->per_line = fit ? fit : 1;
	if (l->wraps) {
		if (l->per_line < l->row && l->per_line >= 10)
			l->per_line -= l->per_line % 5; /* indices that are easy to count from */
		l->n_lines = (l->row + l->per_line - 1) / l->per_line;
	}
}

static void put_line(struct buffer *b, const struct layout *l, uint64_t line)
{
	uint64_t from = l->wraps ? line * l->per_line : line * l->row, shown = l->row, left;
	_cleanup_buffer_ struct buffer label = BUFFER_NULL;

	if (l->wraps)
		shown = l->row - from < l->per_line ? l->row - from : l->per_line;
	else if (!l->all && shown > l->per_line)
		shown = l->per_line > 1 ? l->per_line - 1 : 1;
	left = l->wraps ? 0 : l->row - shown;
	put_label(&label, l, line);
	buffer_printf(b, "%-*s", l->label, buffer_text(&label));
	for (uint64_t i = 0; i < shown; i++) {
		_cleanup_buffer_ struct buffer cell = BUFFER_NULL;

		put_cell(&cell, l->a, from + i);
		buffer_printf(b, "%*s%*s", GAP, "", l->cell, cell.data);
	}
	buffer_puts(b, left ? "  ...\n" : "\n");
}

static void put_lines(struct buffer *b, const struct layout *l)
{
	for (uint64_t line = 0; line < l->n_lines; line++) {
		if (is_shown(l, line)) {
			put_line(b, l, line);
			continue;
		}
		buffer_printf(b, "%-*s  ... %" PRIu64 " more lines; --all shows them\n", l->label, "",
			      l->n_lines - HEAD - TAIL);
		line = l->n_lines - TAIL - 1;
	}
}

/* A text in quotes, cut to what fits. */
static void put_bytes_line(struct buffer *b, const struct layout *l, uint64_t i, const char *bytes, size_t size,
			   size_t width)
{
	_cleanup_buffer_ struct buffer label = BUFFER_NULL, quoted = BUFFER_NULL;
	size_t room = width - (size_t)l->label - GAP;

	put_label(&label, l, i);
	buffer_printf(b, "%-*s%*s", l->label, buffer_text(&label), l->label ? GAP : 0, "");
	json_string_n(&quoted, NULL, bytes, size < 4 * width || l->all ? size : 4 * width);
	if (l->all || columns_of(quoted.data, quoted.size) <= room) {
		buffer_append(b, quoted.data, quoted.size);
	} else {
		columns_cut(b, quoted.data, quoted.size, room - 16);
		buffer_printf(b, "\"... %zu bytes", size);
	}
	buffer_putc(b, '\n');
}

static void put_bytes(struct buffer *b, const struct array *a, size_t width, bool all)
{
	struct layout l = {
		.a = a, .row = 1, .per_line = 1, .n_lines = array_elements(a), .n_index = a->rank, .all = all,
	};
	uint64_t at = 0, i = 0;
	const char *bytes;
	size_t size;

	l.label = widest_label(&l);
	for (; array_next_bytes(a, &at, &bytes, &size); i++) {
		if (is_shown(&l, i))
			put_bytes_line(b, &l, i, bytes, size, width);
		else if (i == HEAD)
			buffer_printf(b, "%-*s  ... %" PRIu64 " more; --all shows them\n", l.label, "",
				      l.n_lines - HEAD - TAIL);
	}
}

void array_put_text(struct buffer *b, const struct array *a, size_t width, bool all)
{
	struct layout l = { .a = a, .all = all };

	if (!array_elements(a))
		return;
	width = width < LEAST_WIDTH ? LEAST_WIDTH : width;
	if (a->dtype == DEVSERVE_BYTES) {
		put_bytes(b, a, width, all);
		return;
	}
	lay_out(&l, width);
	put_lines(b, &l);
}

/* JSON */

static void put_json_number(struct buffer *b, const struct array *a, uint64_t i)
{
	char text[JSON_NUMBER_SIZE];
	char *end;
	float f;

	if (dtype_in_json(a->dtype)) {
		end = json_numbers(text, a->dtype, a->data + i * dtype_size(a->dtype), 1);
	} else {
		array_widen(a->dtype, a->data + 2 * i, &f, 1);
		end = json_numbers(text, DEVSERVE_FP32, &f, 1);
	}
	if (end)
		end[-1] = '\0';
	json_raw(b, NULL, end ? text : "null");
}

static void put_json_data(struct buffer *b, const struct array *a)
{
	uint64_t n = array_elements(a), at = 0;
	const char *bytes;
	size_t size;

	json_array(b, "data");
	for (uint64_t i = 0; i < n && a->dtype != DEVSERVE_BYTES; i++)
		put_json_number(b, a, i);
	while (a->dtype == DEVSERVE_BYTES && array_next_bytes(a, &at, &bytes, &size))
		json_string_n(b, NULL, bytes, size);
	json_array_end(b);
}

void array_put_json_head(struct buffer *b, const char *name, const struct array *a)
{
	json_object(b, NULL);
	json_string(b, "name", name);
	json_string(b, "datatype", dtype_name(a->dtype));
	json_array(b, "shape");
	for (uint32_t k = 0; k < a->rank; k++)
		json_int(b, NULL, a->shape[k]);
	json_array_end(b);
}

void array_put_json(struct buffer *b, const struct array *a, bool with_data)
{
	array_put_json_head(b, a->name, a);
	if (with_data)
		put_json_data(b, a);
	json_object_end(b);
}
