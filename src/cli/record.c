/* SPDX-License-Identifier: MIT */

/*
 * Record
 *
 * Recordings of a server become golden cases. A case is called by its shapes and a hash of what was asked,
 * so that the same request makes the same case, and none twice.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array/array.h"
#include "array/case.h"
#include "base/buffer.h"
#include "base/columns.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/names.h"
#include "cli/recorded.h"
#include "compare/compare.h"
#include "golden/cases.h"
#include "infer/dtype.h"
#include "serve/style.h"

#define TIMEOUT_MS 30000
#define MAX_NAME 64

struct record_options {
	struct client_options client; /* the first: its rows have its offsets */
	const char *out;
	unsigned count;
	const char *id;
	bool list;
};

static const struct option_row rows[] = {
	OPTION_ROW(record_options, out, "out", 'o', "DIR", DIRECTORY, NULL, 0, 0, "put the cases there",
		   "Else they go to the directory golden of the plugin."),
	OPTION_ROW(record_options, count, "count", 'n', "N", UNSIGNED, "4", 1, 64, "take N recordings",
		   "The newest of each shape come first."),
	OPTION_ROW(record_options, id, "id", 0, "ID", STRING, NULL, 0, 0, "take that one"),
	OPTION_ROW(record_options, list, "list", 'l', NULL, BOOL, NULL, 0, 0, "show what there is, and write nothing"),
	CLIENT_ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct record_options, client.name),
	  .missing = "which deployment? 'devserve status' lists them" },
};

static const struct example examples[] = {
	{ "devserve record matmul", "what clients asked last becomes golden cases" },
	{ "devserve record matmul --list", "what has been recorded" },
};

static const struct exit_status exits[] = {
	{ 0, "There is at least one case more, or all were there already." },
	{ 1, "Nothing was recorded, or a case can't be written." },
	{ 69, "No server answers." },
};

/* Listing */

static void put_tensors(const struct json_reader *r, size_t i, const char *side, struct buffer *b)
{
	size_t n = json_reader_count(r, "/recordings/%zu/%s", i, side);

	for (size_t k = 0; k < n; k++) {
		const char *name = json_reader_string(r, "/recordings/%zu/%s/%zu/name", i, side, k);
		const char *type = json_reader_string(r, "/recordings/%zu/%s/%zu/datatype", i, side, k);
		size_t rank = json_reader_count(r, "/recordings/%zu/%s/%zu/shape", i, side, k);

		buffer_puts(b, k ? ", " : "");
		style_harmless(b, name ? name : "?", name ? strlen(name) : 1);
		buffer_printf(b, " %s[", type ? type : "?");
		for (size_t x = 0; x < rank; x++) {
			double extent = 0;

			json_reader_number(r, &extent, "/recordings/%zu/%s/%zu/shape/%zu", i, side, k, x);
			buffer_printf(b, "%s%.0f", x ? "," : "", extent);
		}
		buffer_putc(b, ']');
	}
}

static void put_row(const struct json_reader *r, size_t i, struct buffer *b)
{
	const char *when = json_reader_string(r, "/recordings/%zu/recorded", i);
	double id = 0, generation = 0, compute_ns = 0;

	json_reader_number(r, &id, "/recordings/%zu/id", i);
	json_reader_number(r, &generation, "/recordings/%zu/generation", i);
	json_reader_number(r, &compute_ns, "/recordings/%zu/compute_ns", i);
	buffer_printf(b, "%6.0f  %.19s  gen %-4.0f %8.1f µs  ", id, when ? when : "", generation, compute_ns / 1000);
	put_tensors(r, i, "inputs", b);
	buffer_puts(b, " → ");
	put_tensors(r, i, "outputs", b);
	buffer_puts(b, json_reader_bool(r, "/recordings/%zu/counts", i) ? "\n" : "  (is another answer now)\n");
}

static int refuse_empty(const struct record_options *o, const struct json_reader *r, struct buffer *why)
{
	const char *unrecorded = json_reader_string(r, "/unrecorded");
	const char *sentence = o->list ?
		"nothing was recorded for %s yet; ask it something: devserve infer %s" :
		"nothing was recorded for %s yet that is still answered so; ask it something: devserve infer %s";

	if (unrecorded)
		buffer_printf(why, "nothing was recorded for %s: %s", o->client.name, unrecorded);
	else
		buffer_printf(why, sentence, o->client.name, o->client.name);
	return EXIT_FAILURE;
}

static int list(const struct record_options *o, const struct json_reader *r, const struct buffer *json,
		struct buffer *why)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	size_t n = json_reader_count(r, "/recordings");

	if (o->client.json) {
		cli_print_json(json);
		return EXIT_SUCCESS;
	}
	if (!n)
		return refuse_empty(o, r, why);
	for (size_t i = 0; i < n; i++)
		put_row(r, i, &b);
	fputs(b.data, stdout);
	return EXIT_SUCCESS;
}

/* Writing */

/* "8x16-16x4-3f2a91c0" */
static char *name_of(const struct recorded_call *c)
{
	struct hash_state *state = hash_state_new();
	struct buffer name = BUFFER_NULL;

	for (size_t i = 0; i < c->n_in; i++) {
		const struct array *a = &c->in[i];

		hash_state_add_string(state, a->name);
		hash_state_add(state, &a->dtype, sizeof(a->dtype));
		hash_state_add(state, a->shape, a->rank * sizeof(*a->shape));
		hash_state_add(state, a->data, a->size);
		for (uint32_t k = 0; k < a->rank && name.size < MAX_NAME; k++)
			buffer_printf(&name, "%s%" PRId64, k ? "x" : i ? "-" : "", a->shape[k]);
	}
	buffer_printf(&name, "%s%08" PRIx32, name.size ? "-" : "", (uint32_t)hash_state_end(state).low);
	return buffer_steal(&name);
}

/* Those that hold anyway, for people to change. */
static void put_tolerances(const struct recorded_call *c, struct buffer *json)
{
	json_object(json, "tolerance");
	for (size_t i = 0; i < c->n_out; i++) {
		struct tolerance t = tolerance_of(c->out[i].dtype);

		if (t.rtol == 0 && t.atol == 0)
			continue;
		json_object(json, c->out[i].name);
		json_double(json, "rtol", t.rtol);
		json_double(json, "atol", t.atol);
		json_object_end(json);
	}
	json_object_end(json);
}

static void put_facts(const struct recorded_call *c, struct buffer *json)
{
	json_object(json, NULL);
	put_tolerances(c, json);
	if (c->weights)
		json_string(json, "weights", c->weights);
	json_object_end(json);
	buffer_putc(json, '\n');
}

struct written {
	struct buffer json; /* of the paths */
	struct buffer others; /* of cases that expect another answer */
	size_t n;
	bool stateful; /* cases say what is answered from a zeroed state */
};

static bool agree(const struct array *a, const struct array *b)
{
	struct comparison found;

	if (a->rank != b->rank || memcmp(a->shape, b->shape, a->rank * sizeof(*a->shape)) != 0)
		return false;
	if (a->dtype == DEVSERVE_BYTES)
		compare_bytes(a->data, a->size, b->data, b->size, array_elements(a), &found);
	else
		compare(a->dtype, a->data, b->data, array_elements(a), tolerance_of(a->dtype), &found);
	return comparison_agrees(&found);
}

/* Whether the case at @path expects what @c answered, where it expects anything. */
static bool expects(const char *path, const struct recorded_call *c)
{
	bool same = true;

	for (size_t i = 0; i < c->n_out && same; i++) {
		const struct array *out = &c->out[i];
		struct array there = { .name = xstrdup(out->name) };
		_cleanup_buffer_ struct buffer why = BUFFER_NULL;
		int r = case_read(path, CASE_OUT, out->dtype, &there, &why);

		if (r != -ENOENT)
			same = r == 0 && agree(&there, out);
		array_fini(&there);
	}
	return same;
}

static void tell_written(const struct record_options *o, const char *path, uint64_t id, bool other)
{
	if (!o->client.json)
		printf("%s  recording %" PRIu64 "%s\n", path, id, other ? ", as it is answered from a zeroed state" : "");
}

static void tell_there(const struct record_options *o, const char *path, uint64_t id, const struct recorded_call *c,
		       struct written *w)
{
	bool same = expects(path, c);

	if (!same)
		json_string(&w->others, NULL, path);
	if (!o->client.json)
		printf("%s  %s %" PRIu64 "%s\n", path, same ? "is there already: recording" :
		       "expects another answer than recording", id, same ? "" : ", and stays as it is; remove it first");
}

static int write_case(const struct record_options *o, const char *out, uint64_t id, const struct recorded_call *c,
		      bool other, struct written *w, struct buffer *why)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL, failure = BUFFER_NULL;
	_cleanup_free_ char *name = name_of(c), *path = path_join(out, name);
	int r;

	put_facts(c, &json);
	r = case_write(path, c->in, c->n_in, c->out, c->n_out, json.data, &failure);
	if (r < 0 && r != -EEXIST) {
		buffer_puts(why, buffer_text(&failure));
		return EXIT_FAILURE;
	}
	if (r == -EEXIST) {
		tell_there(o, path, id, c, w);
		return 0;
	}
	w->n++;
	json_string(&w->json, NULL, path);
	tell_written(o, path, id, other);
	return 0;
}

static int write_one(const struct record_options *o, const struct client *c, const char *out, uint64_t id,
		     struct written *w, struct buffer *why)
{
	struct recorded_call call = RECORDED_CALL_NULL;
	int r = recorded_ask(c, id, TIMEOUT_MS, &call, why);
	bool other = false;

	if (r == 0 && w->stateful)
		r = recorded_answer_zeroed(c, id, &call, &other, why);
	if (r == 0)
		r = write_case(o, out, id, &call, other, w, why);
	recorded_call_fini(&call);
	return r;
}

/* Where golden cases of the plugin lie. */
static char *directory_for(const struct record_options *o, const struct json_reader *r)
{
	const char *path = json_reader_string(r, "/path");

	if (o->out)
		return xstrdup(o->out);
	return path && file_is_directory(path) ? path_join(path, GOLDEN_DIRECTORY) : NULL;
}

static int refuse_place(const struct json_reader *r, struct buffer *why)
{
	const char *path = json_reader_string(r, "/path");

	if (path && file_exists(path))
		buffer_printf(why, "%s is one file, which golden cases can't lie beside; make it a directory with that "
			      "file, or say where they go: --out DIR", path);
	else
		buffer_puts(why, "the plugin lies where it can't be reached from here; say where the cases go: "
				 "--out DIR");
	return EXIT_FAILURE;
}

static int write_all(const struct record_options *o, const struct client *c, const struct json_reader *r,
		     struct buffer *why)
{
	size_t n = json_reader_count(r, "/recordings");
	_cleanup_free_ char *out = directory_for(o, r);
	struct written w = { .stateful = json_reader_bool(r, "/stateful") };
	double id = 0;
	int e = 0;

	if (!out)
		return refuse_place(r, why);
	if (!o->id && !n)
		return refuse_empty(o, r, why);
	json_object(&w.json, NULL);
	json_array(&w.json, "written");
	json_array(&w.others, NULL);
	if (o->id)
		e = write_one(o, c, out, strtoull(o->id, NULL, 10), &w, why);
	for (size_t i = 0; !o->id && i < n && e == 0; i++)
		if (json_reader_number(r, &id, "/recordings/%zu/id", i))
			e = write_one(o, c, out, (uint64_t)id, &w, why);
	json_array_end(&w.json);
	json_array_end(&w.others);
	json_raw(&w.json, "differing", buffer_text(&w.others));
	json_object_end(&w.json);
	if (o->client.json && e == 0)
		puts(w.json.data);
	buffer_fini(&w.json);
	buffer_fini(&w.others);
	return e;
}

static char *path_of(const struct record_options *o)
{
	struct buffer path = BUFFER_NULL;

	client_put_control(&path, "recordings", o->client.name);
	if (!o->list)
		buffer_printf(&path, "&counts=1&limit=%u", o->count);
	return buffer_steal(&path);
}

static int record(const struct record_options *o, const struct client *c, struct buffer *why)
{
	_cleanup_free_ char *path = path_of(o);
	_cleanup_buffer_ struct buffer body = BUFFER_NULL;
	struct json_reader *reader = NULL;
	int status, r = client_get(c, path, TIMEOUT_MS, &status, &body, why);

	if (r != 0)
		return r;
	if (status == 404) {
		names_refuse(c, o->client.name, why);
		return EXIT_FAILURE;
	}
	if (status != 200 || json_reader_new(buffer_text(&body), body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s knows no recordings (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	r = o->list ? list(o, reader, &body, why) : write_all(o, c, reader, why);
	json_reader_free(reader);
	return r;
}

static int run(void *options)
{
	const struct record_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	int r = 0;

	if (o->id && (!o->id[0] || strspn(o->id, "0123456789") != strlen(o->id))) {
		buffer_printf(&why, "--id: '%s' is no number", o->id);
		r = EXIT_USAGE;
	}
	if (r == 0)
		r = client_find(&o->client, &client, &why);
	if (r == EXIT_USAGE)
		return cli_usage_error(&cli_record, &why);
	if (r == 0)
		r = record(o, &client, &why);
	if (r != 0)
		cli_error(&why);
	return r;
}

const struct command cli_record = {
	.name = "record",
	.help = "make golden cases of what clients asked",
	.about = "The server keeps the last requests of each deployment with their answers. Take some of them, "
		 "the newest of each shape first, and write them as golden cases: DIR/CASE/in/INPUT.npy, "
		 "out/OUTPUT.npy, and case.json with the tolerances, which may be changed. A new image must "
		 "answer golden cases as they say before it serves. Of a deployment with state they say what it "
		 "answers from a zeroed one, whatever it had when it was asked.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct record_options),
	.run = run,
};
