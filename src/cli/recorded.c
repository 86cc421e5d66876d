/* SPDX-License-Identifier: MIT */
#include "cli/recorded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "array/case.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/interruption.h"
#include "cli/json_reader.h"
#include "cli/run_case.h"
#include "infer/dtype.h"
#include "serve/cases.h"

#define KEEP_TIMEOUT_MS 30000

void recorded_call_fini(struct recorded_call *c)
{
	for (size_t i = 0; i < c->n_in; i++)
		array_fini(&c->in[i]);
	for (size_t i = 0; i < c->n_out; i++)
		array_fini(&c->out[i]);
	free(c->weights);
}

/* Tensor @i, whose bytes are the next ones. False: it isn't one. */
static bool read_tensor(const struct json_reader *r, const char *side, size_t i, const char **at, const char *end,
			struct array *a)
{
	const char *name = json_reader_string(r, "/%s/%zu/name", side, i);
	const char *type = json_reader_string(r, "/%s/%zu/datatype", side, i);
	size_t rank = json_reader_count(r, "/%s/%zu/shape", side, i);
	double number = -1;

	a->name = xstrdup(name ? name : "");
	if (!name || !type || rank > DEVSERVE_MAX_RANK || !json_reader_number(r, &number, "/%s/%zu/bytes", side, i) ||
	    number < 0 || number > (double)(end - *at) || array_allocate(a, (uint64_t)number) < 0)
		return false;
	a->dtype = dtype_from_name(type, strlen(type));
	a->rank = (uint32_t)rank;
	for (size_t k = 0; k < rank; k++) {
		if (!json_reader_number(r, &number, "/%s/%zu/shape/%zu", side, i, k) || number < 0)
			return false;
		a->shape[k] = (int64_t)number;
	}
	memcpy(a->data, *at, a->size);
	*at += a->size;
	return array_is_whole(a);
}

static bool read_side(const struct json_reader *r, const char *side, const char **at, const char *end,
		      struct array *arrays, size_t *ret_n)
{
	size_t n = json_reader_count(r, "/%s", side);

	for (size_t i = 0; i < n; i++) {
		if (i == DEVSERVE_MAX_TENSORS)
			return false;
		++*ret_n;
		if (!read_tensor(r, side, i, at, end, &arrays[i]))
			return false;
	}
	return true;
}

static bool read_answer(const struct buffer *body, struct recorded_call *ret)
{
	const char *text = buffer_text(body), *end = text + body->size;
	const char *line = memchr(text, '\n', body->size), *at = line + 1;
	struct json_reader *r = NULL;
	const char *weights;
	bool good;

	if (!line || json_reader_new(text, (size_t)(line - text), &r) < 0)
		return false;
	good = read_side(r, "inputs", &at, end, ret->in, &ret->n_in) &&
	       read_side(r, "outputs", &at, end, ret->out, &ret->n_out);
	weights = json_reader_string(r, "/weights");
	ret->weights = weights ? xstrdup(weights) : NULL;
	json_reader_free(r);
	return good;
}

static void refuse(const struct client *c, const struct client_answer *a, struct buffer *why)
{
	struct json_reader *r = NULL;
	const char *error = NULL;

	if (json_reader_new(buffer_text(&a->body), a->body.size, &r) == 0)
		error = json_reader_string(r, "/error");
	if (error)
		buffer_puts(why, error);
	else
		buffer_printf(why, "the answer of %s is not understood (HTTP %d)", c->url, a->status);
	json_reader_free(r);
}

int recorded_ask(const struct client *c, uint64_t id, uint64_t timeout_ms, struct recorded_call *ret,
		 struct buffer *why)
{
	_cleanup_free_ char *path = xasprintf("/-/recording?id=%" PRIu64, id);
	struct client_answer a = CLIENT_ANSWER_NULL;
	int r = client_ask(c, &(struct client_request){ .path = path, .timeout_ms = timeout_ms,
							.longest = ARRAY_MAX_BYTES }, &a, why);

	if (r == 0 && (a.status != 200 || !read_answer(&a.body, ret))) {
		refuse(c, &a, why);
		r = EXIT_FAILURE;
	}
	buffer_fini(&a.body);
	return r;
}

/* Keeping one */

static int refuse_answer(const struct client_answer *a, struct buffer *why)
{
	struct json_reader *r = NULL;
	const char *error = NULL;

	if (json_reader_new(buffer_text(&a->body), a->body.size, &r) == 0)
		error = json_reader_string(r, "/error");
	buffer_puts(why, error ? error : "the server's answer is not understood");
	json_reader_free(r);
	return EXIT_FAILURE;
}

static int keep(const struct client *c, uint64_t id, bool once, char **ret, struct buffer *why)
{
	_cleanup_free_ char *path = xasprintf("/-/keep?id=%" PRIu64 "%s", id, once ? "&once=1" : "");
	struct client_answer a = CLIENT_ANSWER_NULL;
	const struct buffer nothing = { .data = (char *)"" };
	struct json_reader *reader = NULL;
	const struct client_request q = { .path = path, .timeout_ms = KEEP_TIMEOUT_MS, .body = &nothing };
	int r = client_ask(c, &q, &a, why);
	const char *directory;

	*ret = NULL;
	if (r == 0 && a.status != 200)
		r = refuse_answer(&a, why);
	if (r == 0 && json_reader_new(buffer_text(&a.body), a.body.size, &reader) == 0) {
		directory = json_reader_string(reader, "/path");
		if (directory && file_is_directory(directory))
			*ret = xstrdup(directory);
		json_reader_free(reader);
	}
	buffer_fini(&a.body);
	if (r != 0 || *ret)
		return r;
	buffer_printf(why, "the server at %s kept it where it can't be read from here", c->url);
	return EXIT_FAILURE;
}

int recorded_keep(const struct client *c, uint64_t id, char **ret, struct buffer *why)
{
	return keep(c, id, false, ret, why);
}

int recorded_read_facts(const char *directory, struct json_reader **ret, struct buffer *why)
{
	_cleanup_free_ char *path = path_join(directory, "case.json");
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r = file_read(path, &text);

	if (r == 0)
		r = json_reader_new(buffer_text(&text), text.size, ret);
	if (r < 0)
		buffer_printf(why, "cannot read %s: %s", path, r == -EBADMSG ? "it isn't JSON" : strerror(-r));
	return r < 0 ? EXIT_FAILURE : 0;
}

/* Asking anew */

/* What came out at @got takes the place of what was recorded. */
static int take_outputs(const char *got, struct recorded_call *call, struct buffer *why)
{
	for (size_t i = 0; i < call->n_out; i++) {
		struct array *was = &call->out[i], is = { .name = xstrdup(was->name) };

		if (case_read(got, CASE_OUT, was->dtype, &is, why) < 0) {
			array_fini(&is);
			return EXIT_FAILURE;
		}
		array_fini(was);
		*was = is;
	}
	return 0;
}

static int run_zeroed(const char *directory, const char *got, struct recorded_call *call, bool *ret_other,
		      struct buffer *why)
{
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	struct json_reader *facts = NULL;
	struct case_run run;
	int r = recorded_read_facts(directory, &facts, why);

	if (r == 0)
		r = case_run_zeroed(directory, facts, got, &run, &said, why);
	json_reader_free(facts);
	if (r != 0)
		return r;
	if (run.outcome > CASE_DIFFERS) {
		buffer_printf(why, "golden cases start from a zeroed state, where it %s: %s",
			      run.outcome == CASE_CRASHED ? "crashes" : "fails", run.sentence);
		r = EXIT_FAILURE;
	}
	*ret_other = run.outcome == CASE_DIFFERS;
	case_run_fini(&run);
	return r == 0 ? take_outputs(got, call, why) : r;
}

/* A server of another version keeps a case, as it always did. */
static bool is_kept_once(const char *directory)
{
	size_t n = strlen(directory), m = strlen(CASES_ONCE);

	return n > m && strcmp(directory + n - m, CASES_ONCE) == 0;
}

int recorded_answer_zeroed(const struct client *c, uint64_t id, struct recorded_call *call, bool *ret_other,
			   struct buffer *why)
{
	char got[] = "/tmp/devserve-record-XXXXXX";
	_cleanup_free_ char *directory = NULL;
	struct interruption held;
	int r = keep(c, id, true, &directory, why);

	if (r != 0)
		return r;
	interruption_hold(&held);
	if (mkdtemp(got)) {
		r = run_zeroed(directory, got, call, ret_other, why);
		file_remove_tree(got);
	} else {
		buffer_printf(why, "cannot make a directory in /tmp: %s", strerror(errno));
		r = EXIT_FAILURE;
	}
	if (is_kept_once(directory))
		file_remove_tree(directory);
	interruption_release(&held);
	return r;
}
