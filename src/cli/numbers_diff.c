/* SPDX-License-Identifier: MIT */

/*
 * Each case is run twice, in workers of their own, and never in one that serves. The first run's
 * outputs take the place of the answer that was kept, and the second run is compared with them.
 */

#include "cli/numbers_diff.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array/array.h"
#include "array/case.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/capture.h"
#include "cli/client.h"
#include "cli/interruption.h"
#include "cli/json_reader.h"
#include "cli/recorded.h"
#include "image/inspect.h"
#include "infer/signature.h"
#include "serve/run_file.h"

#define PATIENCE_MS 60000
#define MOST_RECORDINGS 8
#define MAX_WORDS 8

struct work {
	const struct numbers_options *o;
	numbers_fn on_case;
	void *context;
	bool cuda;
	char directory[sizeof("/tmp/devserve-diff-XXXXXX")];
	unsigned n; /* cases so far */
};

/* What runs @image on the case: as its case.json would say. */
static struct json_reader *facts_of(const struct work *w, const struct numbers_image *image, const char *from)
{
	_cleanup_free_ char *state = path_join(from, "state");
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	struct json_reader *r = NULL;

	json_object(&json, NULL);
	json_string(&json, "image", image->path);
	if (image->device)
		json_string(&json, "device", image->device);
	if (image->weights)
		json_string(&json, "weights", image->weights);
	if (file_exists(state))
		json_string(&json, "state", state);
	json_bool(&json, "cuda", w->cuda);
	json_object_end(&json);
	json_reader_new(json.data, json.size, &r);
	return r;
}

/* The outputs of @image land in @got/out. */
static int run_before(const struct work *w, const char *from, const char *got)
{
	_cleanup_free_ char *worker = path_of_helper("devserve-worker"), *where = xasprintf("got=%s", got);
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	struct json_reader *facts = facts_of(w, &w->o->before, from);
	const char *argv[MAX_WORDS + 5] = { worker, "replay", from, where };
	char *words[MAX_WORDS];
	size_t n = case_words(from, facts, words, MAX_WORDS);
	int r;

	for (size_t i = 0; i < n; i++)
		argv[4 + i] = words[i];
	r = capture(argv, "", PATIENCE_MS, &said);
	for (size_t i = 0; i < n; i++)
		free(words[i]);
	json_reader_free(facts);
	return r;
}

static void link_to(const char *directory, const char *name, const char *target_directory, const char *target)
{
	_cleanup_free_ char *from = path_join(directory, name), *to = path_join(target_directory, target);

	if (file_exists(to) && symlink(to, from) < 0)
		return;
}

static int run_case(struct work *w, const char *from, const char *tolerances, const char *what, struct buffer *why)
{
	_cleanup_free_ char *directory = xasprintf("%s/%u", w->directory, w->n++), *got = path_join(directory, "before");
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	struct json_reader *facts;
	struct case_run run;
	int r = file_make_directories(got);

	if (r < 0 || run_before(w, from, got) != 0)
		return 0; /* what the one before can't answer compares with nothing */
	link_to(directory, CASE_IN, from, CASE_IN);
	link_to(directory, CASE_OUT, got, CASE_OUT);
	link_to(directory, "golden.json", from, tolerances);
	facts = facts_of(w, &w->o->after, from);
	r = case_run(directory, facts, &run, &said, why);
	if (r == 0) {
		w->on_case(w->context, what, &run);
		case_run_fini(&run);
	}
	json_reader_free(facts);
	return r;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int run_golden(struct work *w, struct buffer *why)
{
	_cleanup_free_ char *directory = xasprintf("%s/%s/golden", w->o->root, w->o->name);
	struct dirent **names = NULL;
	int n = scandir(directory, &names, is_visible, compare_names), r = 0;

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *from = path_join(directory, names[i]->d_name);
		_cleanup_free_ char *real = realpath(from, NULL), *what = xasprintf("golden/%s", names[i]->d_name);

		if (r == 0 && real && file_is_directory(real))
			r = run_case(w, real, "case.json", what, why);
		free(names[i]);
	}
	free(names);
	return r;
}

/* Recordings */

static int run_recording(struct work *w, const struct client *c, uint64_t id, struct buffer *why)
{
	_cleanup_free_ char *from = xasprintf("%s/recording-%" PRIu64, w->directory, id);
	_cleanup_free_ char *what = xasprintf("recording %" PRIu64, id);
	_cleanup_buffer_ struct buffer ignored = BUFFER_NULL;
	struct recorded_call call = RECORDED_CALL_NULL;
	int r = recorded_ask(c, id, PATIENCE_MS, &call, &ignored);

	if (r == 0 && file_make_directories(from) == 0 &&
	    case_fill(from, call.in, call.n_in, call.out, call.n_out, NULL, &ignored) == 0)
		r = run_case(w, from, "golden.json", what, why);
	else
		r = 0; /* it may have gone meanwhile */
	recorded_call_fini(&call);
	return r;
}

static int run_listed(struct work *w, const struct client *c, const struct json_reader *list, struct buffer *why)
{
	size_t n = json_reader_count(list, "/recordings");
	int r = 0;

	for (size_t i = n > MOST_RECORDINGS ? n - MOST_RECORDINGS : 0; i < n && r == 0; i++) {
		double id;

		if (json_reader_number(list, &id, "/recordings/%zu/id", i))
			r = run_recording(w, c, (uint64_t)id, why);
	}
	return r;
}

/* No server, or one that tells none: then there are none. */
static int run_recordings(struct work *w, struct buffer *why)
{
	const struct client_options o = { .root = w->o->root, .state_dir = w->o->state_dir };
	_cleanup_free_ char *directory = state_directory(w->o->root, w->o->state_dir);
	_cleanup_buffer_ struct buffer path = BUFFER_NULL, body = BUFFER_NULL, ignored = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	struct json_reader *list = NULL;
	char url[256];
	int status, r = 0;

	if (!run_file_owner(directory, url) || client_find(&o, &client, &ignored) != 0)
		return 0;
	client_put_control(&path, "recordings", w->o->name);
	if (client_get(&client, path.data, PATIENCE_MS, &status, &body, &ignored) == 0 && status == 200 &&
	    json_reader_new(buffer_text(&body), body.size, &list) == 0)
		r = run_listed(w, &client, list, why);
	json_reader_free(list);
	return r;
}

static bool is_cuda(const char *image)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct image_info info = { .signature = NULL };
	bool cuda = image_inspect(image, &info, &why) == 0 && info.signature->cuda;

	image_info_fini(&info);
	return cuda;
}

int numbers_diff(const struct numbers_options *o, numbers_fn on_case, void *context, struct buffer *why)
{
	struct work w = { .o = o, .on_case = on_case, .context = context, .cuda = is_cuda(o->after.path),
			  .directory = "/tmp/devserve-diff-XXXXXX" };
	struct interruption held;
	int r;

	interruption_hold(&held);
	if (mkdtemp(w.directory)) {
		r = run_golden(&w, why);
		if (r == 0)
			r = run_recordings(&w, why);
		file_remove_tree(w.directory);
	} else {
		buffer_puts(why, "cannot make a directory in /tmp");
		r = EXIT_FAILURE;
	}
	interruption_release(&held);
	return r;
}
