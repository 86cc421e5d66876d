/* SPDX-License-Identifier: MIT */
#include "cli/saved.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/names.h"

static int status_of(const char *outcome)
{
	static const char *const good[] = { "serving", "swapped", "unchanged", "rolled-back" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (strcmp(outcome, good[i]) == 0)
			return EXIT_SUCCESS;
	return strcmp(outcome, "build-failed") == 0 ? EXIT_BUILD_FAILED : EXIT_FAILURE;
}

/* The answer's own words: a refusal of the server, or what became of the save. */
static int report(const struct client_options *o, const struct json_reader *r, const struct buffer *json,
		  void (*say)(const char *name, const struct json_reader *r), struct buffer *why)
{
	const char *outcome = json_reader_string(r, "/outcome");
	const char *reason = json_reader_string(r, "/reason"), *error = json_reader_string(r, "/error");

	if (!outcome) {
		buffer_puts(why, error ? error : "the server's answer is not understood");
		return EXIT_FAILURE;
	}
	if (o->json)
		cli_print_json(json);
	else if (status_of(outcome) != EXIT_SUCCESS)
		buffer_printf(why, "%s: %s%s%s", o->name, outcome, reason ? ": " : "", reason ? reason : "");
	else
		say(o->name, r);
	return status_of(outcome);
}

int saved_read(const struct client_options *o, const struct client *c, const struct client_answer *a,
	       const char *subject, void (*say)(const char *name, const struct json_reader *r),
	       struct buffer *why)
{
	struct json_reader *reader;
	int r;

	if (a->status == 404) {
		names_refuse(c, o->name, why);
		return EXIT_FAILURE;
	}
	if (json_reader_new(buffer_text(&a->body), a->body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s knows no %s (HTTP %d)", c->url, subject, a->status);
		return EXIT_FAILURE;
	}
	r = report(o, reader, &a->body, say, why);
	json_reader_free(reader);
	return r;
}
