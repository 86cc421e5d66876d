/* SPDX-License-Identifier: MIT */

/*
 * Cases
 *
 * The image is linked at once, for whoever rolled it out removes it; all else is written by a thread, from
 * the recording, which is held meanwhile. A case gets its name when it is whole.
 */

#include "serve/cases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "array/array.h"
#include "array/case.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/process.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "infer/signature.h"
#include "record/recorder.h"
#include "serve/built.h"

struct cases {
	uv_loop_t *loop;
	char *state_dir, *directory;
	unsigned n_kept;
	LIST_HEAD(, keeping) keepings;
};

/* Somebody who wants to know of one. */
struct listener {
	SLIST_ENTRY(listener) entry;
	cases_kept_fn kept;
	void *context;
};

/* One that is being written. */
struct keeping {
	LIST_ENTRY(keeping) entry;
	uv_work_t work;
	struct cases *cases;
	struct handle *handle; /* so that the recorder stays */
	struct recorder *recorder;
	struct recorder_view view;
	struct signature *signature;
	uint64_t id;
	bool once;
	char *made, *path, *state;
	char *golden; /* folder to copy, instead of a recording */
	struct history_build *built; /* or NULL */
	struct buffer json, why;
	SLIST_HEAD(, listener) listeners;
};

struct cases *cases_new(uv_loop_t *loop, const char *state_dir)
{
	struct cases *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->state_dir = xstrdup(state_dir);
	c->directory = path_join(state_dir, "cases");
	return c;
}

struct cases *cases_free(struct cases *c)
{
	if (!c)
		return NULL;
	free(c->state_dir);
	free(c->directory);
	free(c);
	return NULL;
}

char *cases_path(const char *state_dir, uint64_t id)
{
	return xasprintf("%s/cases/%" PRIu64, state_dir, id);
}

/* What is there. What was being written when a server ended goes. */

static uint64_t number_of(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits && digits < 20 && !name[digits] ? strtoull(name, NULL, 10) : 0;
}

static uint64_t last_in(const char *directory)
{
	DIR *d = opendir(directory);
	uint64_t last = 0;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (number_of(e->d_name) > last)
			last = number_of(e->d_name);
	if (d)
		closedir(d);
	return last;
}

uint64_t cases_last(const struct cases *c)
{
	return last_in(c->directory);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* "17.4711-1.new", of a server that has ended. */
static bool is_left_over(const char *name)
{
	int pid;

	return sscanf(name, "%*[0-9].%d-", &pid) == 1 && pid > 0 && !process_is_alive(pid);
}

static void remove_in(const char *directory, const char *name)
{
	_cleanup_free_ char *path = path_join(directory, name);

	file_remove_tree(path);
}

/* Remove the oldest but CASES_MAX. [any thread] */
static void tidy(const char *directory)
{
	_cleanup_free_ uint64_t *numbers = NULL;
	DIR *d = opendir(directory);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		if (is_left_over(e->d_name))
			remove_in(directory, e->d_name);
		if (!number_of(e->d_name))
			continue;
		numbers = xrealloc(numbers, (n + 1) * sizeof(*numbers));
		numbers[n++] = number_of(e->d_name);
	}
	if (d)
		closedir(d);
	if (n <= CASES_MAX)
		return;
	qsort(numbers, n, sizeof(*numbers), by_number);
	for (size_t i = 0; i + CASES_MAX < n; i++) {
		_cleanup_free_ char *name = xasprintf("%" PRIu64, numbers[i]);

		remove_in(directory, name);
	}
}

/* Writing one */

static void describe_tolerance(const struct case_facts *f, struct buffer *json)
{
	json_object(json, "tolerance");
	if (f->rtol >= 0)
		json_double(json, "rtol", f->rtol);
	if (f->atol >= 0)
		json_double(json, "atol", f->atol);
	json_object_end(json);
}

static void describe(const struct keeping *k, const struct case_facts *f, struct buffer *json)
{
	const struct recording *r = k->golden ? NULL : recorder_at(&k->view, 0);
	_cleanup_buffer_ struct buffer when = BUFFER_NULL;

	clock_put_utc(&when, r ? r->recorded_ns : clock_wall_ns());
	json_object(json, NULL);
	json_uint(json, "id", k->id);
	json_string(json, "deployment", k->handle->name);
	json_string(json, "plugin", f->plugin);
	json_string(json, r ? "recorded" : "kept", when.data);
	if (r)
		json_uint(json, "answered_by", r->generation);
	else
		json_string(json, "golden", path_name(k->golden));
	json_uint(json, "generation", f->generation);
	json_string(json, "sentence", f->sentence);
	json_string(json, "image", "image.so");
	json_string(json, "device", f->device ? "device" : NULL);
	json_string(json, "state", k->state ? "state" : NULL);
	json_string(json, "weights", f->weights);
	json_string(json, "runtime", f->runtime);
	json_bool(json, "cuda", f->cuda);
	describe_tolerance(f, json);
	json_object_end(json);
	buffer_putc(json, '\n');
}

static int link_file(const char *from, const char *directory, const char *name)
{
	_cleanup_free_ char *to = path_join(directory, name);

	if (!from || link(from, to) == 0)
		return 0;
	return file_copy(from, to);
}

/* A place for it, with the image. */
static int prepare(const struct keeping *k, const struct case_facts *f)
{
	int r = file_make_directories_from(k->cases->state_dir, k->cases->directory);

	file_remove_tree(k->made);
	if (r == 0)
		r = file_make_directories(k->made);
	if (r == 0)
		r = link_file(f->image, k->made, "image.so");
	if (r == 0)
		r = link_file(f->device, k->made, "device");
	return r;
}

/* A plugin that wrote to its inputs may have left text whose lengths don't add up. */
static int borrow(struct keeping *k, const struct signature_port *ports, const struct call_tensor *tensors, uint32_t n,
		  struct array *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct call_tensor *t = &tensors[i];

		ret[i] = (struct array){ .name = ports[i].name, .dtype = t->dtype, .rank = t->rank, .size = t->size,
					 .data = (unsigned char *)k->view.base + t->offset };
		memcpy(ret[i].shape, t->shape, sizeof(t->shape));
		if (array_is_whole(&ret[i]))
			continue;
		buffer_printf(&k->why, "%s holds fewer or more elements than its shape says", ports[i].name);
		return -EINVAL;
	}
	return 0;
}

static int write_tensors(struct keeping *k)
{
	struct array in[DEVSERVE_MAX_TENSORS], out[DEVSERVE_MAX_TENSORS];
	const struct recording *r = recorder_at(&k->view, 0);

	if (borrow(k, k->signature->inputs, r->tensors, r->n_in, in) < 0 ||
	    borrow(k, k->signature->outputs, r->tensors + r->n_in, r->n_out, out) < 0)
		return -EINVAL;
	return case_fill(k->made, in, r->n_in, out, r->n_out, k->json.data, &k->why);
}

/* "in/X.npy" and all others of a side. */
static int copy_side(const struct keeping *k, const char *side)
{
	_cleanup_free_ char *from = path_join(k->golden, side), *to = path_join(k->made, side);
	int r = file_make_directories(to);
	DIR *d = opendir(from);
	struct dirent *e;

	while (d && r == 0 && (e = readdir(d))) {
		_cleanup_free_ char *source = path_join(from, e->d_name), *copy = path_join(to, e->d_name);

		if (strcmp(path_suffix(e->d_name), ".npy") == 0)
			r = file_copy(source, copy);
	}
	if (d)
		closedir(d);
	return d ? r : -ENOENT;
}

static int copy_golden(struct keeping *k)
{
	_cleanup_free_ char *from = path_join(k->golden, "case.json"), *to = path_join(k->made, "golden.json");
	_cleanup_free_ char *facts = path_join(k->made, "case.json");
	int r = file_copy(from, to);

	if (r == 0 || r == -ENOENT) /* it need not say anything */
		r = copy_side(k, CASE_IN);
	if (r == 0)
		r = copy_side(k, CASE_OUT);
	return r == 0 ? file_write(facts, k->json.data, k->json.size, 0666) : r;
}

static int write_source(const struct keeping *k, const struct history_file *f)
{
	_cleanup_free_ char *path = xasprintf("%s/" CASES_SOURCE "/%s", k->made, f->path);
	_cleanup_free_ char *folder = xstrndup(path, (size_t)(path_name(path) - path) - 1);
	int r = file_make_directories(folder);

	return r == 0 ? file_write(path, f->text, f->size, 0444) : r;
}

static int write_sources(const struct keeping *k)
{
	int r = 0;

	for (size_t i = 0; k->built && i < k->built->n_files && r == 0; i++)
		r = write_source(k, &k->built->files[i]);
	return r;
}

/* There is always one under the name, the old or the new. */
static int put_in_place(const struct keeping *k)
{
	if (renameat2(AT_FDCWD, k->made, AT_FDCWD, k->path, RENAME_EXCHANGE) == 0 || rename(k->made, k->path) == 0)
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY)
		return -errno;
	file_remove_tree(k->path); /* a file system that can't exchange */
	return rename(k->made, k->path) < 0 ? -errno : 0;
}

static void on_work(uv_work_t *work)
{
	struct keeping *k = work->data;
	_cleanup_free_ char *state = path_join(k->made, "state");
	int r = k->state ? file_copy(k->state, state) : 0;

	if (r == 0 || r == -ENOENT) /* a state that hasn't been written yet is zero */
		r = k->golden ? copy_golden(k) : write_tensors(k);
	if (r == 0)
		r = write_sources(k);
	if (r == 0)
		r = put_in_place(k);
	if (r < 0 && !k->why.size)
		buffer_printf(&k->why, "cannot write %s: %s", k->path, strerror(-r));
	file_remove_tree(k->made); /* or what it took the place of */
	tidy(k->cases->directory);
}

static void keeping_free(struct keeping *k)
{
	LIST_REMOVE(k, entry);
	if (k->view.n)
		recorder_release(k->recorder, &k->view);
	handle_unref(k->handle);
	signature_unref(k->signature);
	built_free(k->built);
	buffer_fini(&k->json);
	buffer_fini(&k->why);
	free(k->made);
	free(k->path);
	free(k->state);
	free(k->golden);
	free(k);
}

static void on_kept(uv_work_t *work, int status)
{
	struct keeping *k = work->data;

	struct listener *l;

	(void)status; /* nobody cancels it */
	while ((l = SLIST_FIRST(&k->listeners))) {
		SLIST_REMOVE_HEAD(&k->listeners, entry);
		l->kept(l->context, k->id, k->path, k->why.size ? k->why.data : NULL);
		free(l);
	}
	keeping_free(k);
}

static struct keeping *keeping_new(struct cases *c, struct deployment *d, uint64_t id)
{
	struct keeping *k = xcalloc(1, sizeof(*k));

	k->work.data = k;
	k->cases = c;
	k->handle = handle_ref(deployment_handle(d));
	k->recorder = deployment_recorder(d);
	k->id = id;
	SLIST_INIT(&k->listeners);
	LIST_INSERT_HEAD(&c->keepings, k, entry);
	k->path = cases_path(c->state_dir, id);
	k->made = xasprintf("%s.%d-%u.new", k->path, (int)getpid(), ++c->n_kept);
	return k;
}

static void add_listener(struct keeping *k, cases_kept_fn kept, void *context)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->kept = kept;
	l->context = context;
	SLIST_INSERT_HEAD(&k->listeners, l, entry);
}

bool cases_await(struct cases *c, uint64_t id, cases_kept_fn kept, void *context)
{
	struct keeping *k;

	LIST_FOREACH(k, &c->keepings, entry) {
		if (k->id != id || k->once)
			continue;
		add_listener(k, kept, context);
		return true;
	}
	return false;
}

/* @r: whether there is something to keep. @k is gone after an error. */
static int start(struct keeping *k, const struct case_facts *f, cases_kept_fn kept, void *context, int r)
{
	if (r == 0)
		r = prepare(k, f);
	if (r < 0) {
		file_remove_tree(k->made);
		keeping_free(k);
		return r;
	}
	if (f->built) {
		k->built = *f->built;
		*f->built = NULL;
	}
	k->state = f->state && !k->golden ? xstrdup(f->state) : NULL;
	if (kept)
		add_listener(k, kept, context);
	describe(k, f, &k->json);
	uv_queue_work(k->cases->loop, &k->work, on_work, on_kept);
	return 0;
}

int cases_keep(struct cases *c, struct deployment *d, uint64_t id, const struct case_facts *f, cases_kept_fn kept,
	       void *context)
{
	struct keeping *k = keeping_new(c, d, id);
	int r = recorder_hold_one(k->recorder, id, &k->view) ? 0 : -ENOENT;

	if (r == 0)
		k->signature = signature_ref(recorder_signature(k->recorder, id));
	k->once = f->once;
	if (f->once) { /* as what a server leaves over is called, if nobody removes it */
		free(k->path);
		k->path = xasprintf("%s/%" PRIu64 ".%d-%u" CASES_ONCE, c->directory, id, (int)getpid(), c->n_kept);
	}
	return start(k, f, kept, context, r);
}

int cases_keep_golden(struct cases *c, struct deployment *d, const char *directory, const struct case_facts *f,
		      cases_kept_fn kept, void *context, uint64_t *ret_id)
{
	uint64_t id = recorder_take_id(deployment_recorder(d));
	struct keeping *k = keeping_new(c, d, id);
	int r;

	k->golden = xstrdup(directory);
	r = start(k, f, kept, context, 0);
	if (r == 0)
		*ret_id = id;
	return r;
}
