/* SPDX-License-Identifier: MIT */
#include "cli/companion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/json_reader.h"
#include "cli/names.h"
#include "verdict/verdict.h"

#define TIMEOUT_MS 120000 /* create() may load weights */

double companion_share(const char *text)
{
	char *end;
	double share = strtod(text, &end) / 100;

	end += *end == '%';
	return end != text && !*end && share > 0 && share <= 1 ? share : -1;
}

/* Describing */

static double number(const struct json_reader *r, const char *path, const char *key)
{
	double value;

	return json_reader_number(r, &value, "%s/%s", path, key) ? value : 0;
}

/* "generation 7: 120 requests, 3 failed, median 1.2 ms" */
static void put_side(const struct json_reader *r, const char *companion, const char *side, struct buffer *b)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", companion, side);
	double failures = number(r, path, "failures"), median = number(r, path, "compute_ns_median");

	buffer_printf(b, "generation %.0f: %.0f requests", number(r, path, "generation"), number(r, path, "requests"));
	if (failures > 0)
		buffer_printf(b, ", %.0f failed", failures);
	if (median >= 1e6)
		buffer_printf(b, ", median %.1f ms", median / 1e6);
	else if (median > 0)
		buffer_printf(b, ", median %.1f us", median / 1e3);
}

/* "; generation 7 is 1.34× faster [1.31, 1.37]" */
static void put_verdict(const struct json_reader *r, const char *path, struct buffer *b)
{
	const char *name = json_reader_string(r, "%s/verdict", path);
	struct verdict v = { .kind = VERDICT_UNSURE };

	if (!name || !json_reader_number(r, &v.ratio, "%s/ratio", path) ||
	    !json_reader_number(r, &v.low, "%s/interval/0", path) ||
	    !json_reader_number(r, &v.high, "%s/interval/1", path))
		return;
	for (enum verdict_kind kind = VERDICT_UNSURE; kind <= VERDICT_SLOWER; kind++)
		if (strcmp(name, verdict_name(kind)) == 0)
			v.kind = kind;
	buffer_puts(b, "; ");
	verdict_describe(&v, b);
}

static void put_comparison(const struct json_reader *r, const char *path, struct buffer *b)
{
	double dropped = number(r, path, "dropped");

	buffer_printf(b, "; %.0f of %.0f answers differ", number(r, path, "differing"), number(r, path, "compared"));
	if (!json_reader_bool(r, "%s/values", path))
		buffer_puts(b, " in shape (values aren't compared: there is state)");
	if (dropped > 0)
		buffer_printf(b, ", %.0f calls not copied", dropped);
}

void companion_describe(const struct json_reader *r, const char *path, struct buffer *ret)
{
	const char *kind = json_reader_string(r, "%s/kind", path);

	if (!kind)
		return;
	if (strcmp(kind, "canary") == 0)
		buffer_printf(ret, "canary, %.3g %% of the requests; ", number(r, path, "share") * 100);
	else
		buffer_printf(ret, "%s; ", kind);
	put_side(r, path, "beside", ret);
	buffer_puts(ret, "; ");
	put_side(r, path, "serving", ret);
	put_verdict(r, path, ret);
	if (strcmp(kind, "shadow") == 0)
		put_comparison(r, path, ret);
}

/* Asking */

static void put_query(const char *kind, const struct companion_options *o, struct buffer *b)
{
	client_put_control(b, kind, o->client.name);
	buffer_puts(b, "&generation=");
	client_put_path(b, o->generation);
	if (o->share)
		buffer_printf(b, "&share=%.6f", companion_share(o->share));
}

static int read_answer(const struct companion_options *o, const char *kind, const struct client *c,
		       const struct client_answer *a, struct buffer *why)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;
	struct json_reader *r;
	int status = EXIT_SUCCESS;

	if (json_reader_new(buffer_text(&a->body), a->body.size, &r) < 0) {
		buffer_printf(why, "what answers at %s knows no %s (HTTP %d)", c->url, kind, a->status);
		return EXIT_FAILURE;
	}
	companion_describe(r, "", &line);
	if (a->status != 200) {
		const char *error = json_reader_string(r, "/error");

		buffer_puts(why, error ? error : "the server's answer is not understood");
		status = EXIT_FAILURE;
	} else if (o->client.json) {
		cli_print_json(&a->body);
	} else if (!line.size || json_reader_bool(r, "/ended")) {
		printf("%s  %s ended\n", o->client.name, kind);
	} else {
		printf("%s  %s\n", o->client.name, line.data);
		if (json_reader_string(r, "/replaced"))
			printf("%s  %s ended\n", o->client.name, json_reader_string(r, "/replaced"));
	}
	json_reader_free(r);
	return status;
}

static int ask(const struct companion_options *o, const char *kind, const struct client *c, struct buffer *why)
{
	_cleanup_buffer_ struct buffer path = BUFFER_NULL, nothing = BUFFER_NULL;
	struct client_request q = { .timeout_ms = TIMEOUT_MS, .body = &nothing };
	struct client_answer a = CLIENT_ANSWER_NULL;
	int r;

	put_query(kind, o, &path);
	q.path = path.data;
	r = client_ask(c, &q, &a, why);
	if (r == 0 && a.status == 404) {
		names_refuse(c, o->client.name, why);
		r = EXIT_FAILURE;
	} else if (r == 0) {
		r = read_answer(o, kind, c, &a, why);
	}
	buffer_fini(&a.body);
	return r;
}

/* Showing */

static size_t find(const struct json_reader *r, const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *s = json_reader_string(r, "/deployments/%zu/name", i);

		if (s && strcmp(s, name) == 0)
			return i;
	}
	return n;
}

/* As the server says it to who starts one. */
static void print_companion(const struct companion_options *o, const struct json_reader *r, const char *path)
{
	_cleanup_free_ char *members = json_reader_text(r, "%s", path);
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_string(&json, "deployment", o->client.name);
	printf("%s,%s\n", json.data, members + 1);
}

static int show_companion(const struct companion_options *o, const char *kind, const struct client *c,
			  const struct json_reader *r, struct buffer *why)
{
	size_t n = json_reader_count(r, "/deployments"), i = find(r, o->client.name, n);
	_cleanup_free_ char *path = xasprintf("/deployments/%zu/companion", i);
	const char *there = json_reader_string(r, "%s/kind", path);
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	if (i == n) {
		names_refuse(c, o->client.name, why);
		return EXIT_FAILURE;
	}
	if (!there || strcmp(there, kind) != 0) {
		buffer_printf(why, "%s has no %s; name a generation to have one", o->client.name, kind);
		return EXIT_FAILURE;
	}
	companion_describe(r, path, &line);
	if (o->client.json)
		print_companion(o, r, path);
	else
		printf("%s  %s\n", o->client.name, line.data);
	return EXIT_SUCCESS;
}

static int show(const struct companion_options *o, const char *kind, const struct client *c, struct buffer *why)
{
	_cleanup_buffer_ struct buffer body = BUFFER_NULL;
	struct json_reader *reader;
	int status, r = client_get(c, "/-/status", TIMEOUT_MS, &status, &body, why);

	if (r != 0)
		return r;
	if (status != 200 || json_reader_new(buffer_text(&body), body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s knows no status (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	r = show_companion(o, kind, c, reader, why);
	json_reader_free(reader);
	return r;
}

static int check(const struct companion_options *o, struct buffer *why)
{
	if (o->share && companion_share(o->share) < 0)
		buffer_printf(why, "'%s' is not a share of the requests such as 10%%", o->share);
	else if (o->share && companion_share(o->share) < 0.01 && !strchr(o->share, '%'))
		buffer_printf(why, "'%s' is %s %% of the requests, or a part of 1? say %s%% or %g%%", o->share, o->share,
			      o->share, 100 * strtod(o->share, NULL));
	else if (o->generation && strcmp(o->generation, "off") != 0 &&
		 (!*o->generation || o->generation[strspn(o->generation, "0123456789")]))
		buffer_printf(why, "'%s' is not a generation's number, nor 'off'", o->generation);
	return why->size ? EXIT_USAGE : 0;
}

int companion_run(const struct command *command, const char *kind, const struct companion_options *o)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	int r = check(o, &why);

	if (r == 0)
		r = client_find(&o->client, &client, &why);
	if (r == EXIT_USAGE)
		return cli_usage_error(command, &why);
	if (r == 0)
		r = o->generation ? ask(o, kind, &client, &why) : show(o, kind, &client, &why);
	if (why.size)
		cli_error(&why);
	return r;
}
