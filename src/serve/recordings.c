/* SPDX-License-Identifier: MIT */
#include "serve/recordings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "infer/dtype.h"
#include "infer/signature.h"
#include "ingress/ingress.h"
#include "record/recorder.h"
#include "serve/cases.h"
#include "serve/plugin.h"
#include "serve/reply.h"
#include "weights/weights.h"

/* A number of the query; 0: there is none. */
static uint64_t number_in(const struct exchange *x, const char *key)
{
	const char *text = exchange_query(x, key);

	return text && text[0] && strspn(text, "0123456789") == strlen(text) ? strtoull(text, NULL, 10) : 0;
}

/* Describing */

static void describe_tensors(struct buffer *json, const char *key, const struct signature_port *ports,
			     const struct call_tensor *tensors, uint32_t n)
{
	json_array(json, key);
	for (uint32_t i = 0; i < n; i++) {
		json_object(json, NULL);
		json_string(json, "name", ports[i].name);
		json_string(json, "datatype", dtype_name(tensors[i].dtype));
		json_array(json, "shape");
		for (uint32_t k = 0; k < tensors[i].rank; k++)
			json_int(json, NULL, tensors[i].shape[k]);
		json_array_end(json);
		json_uint(json, "bytes", tensors[i].size);
		json_object_end(json);
	}
	json_array_end(json);
}

/* Those that answer alike had the same (deploy/answers.c); of others it isn't known. */
static void describe_weights(struct buffer *json, const struct plugin *p, bool counts)
{
	const struct weights_set *w = p->weights.serving;
	char text[HASH_TEXT_SIZE];

	if (!counts || !w || hash_is_zero(w->hash))
		return;
	hash_text(w->hash, text);
	json_string(json, "weights", text);
}

static void describe(struct buffer *json, const struct plugin *p, const struct recording *r)
{
	bool counts = deployment_answers_as(p->deployment, r->generation);
	const struct signature *s = recorder_signature(deployment_recorder(p->deployment), r->id);
	_cleanup_buffer_ struct buffer when = BUFFER_NULL;

	clock_put_utc(&when, r->recorded_ns);
	json_object(json, NULL);
	json_uint(json, "id", r->id);
	json_string(json, "deployment", p->name);
	json_string(json, "recorded", when.data);
	json_uint(json, "generation", r->generation);
	json_bool(json, "counts", counts);
	describe_weights(json, p, counts);
	json_uint(json, "compute_ns", r->compute_ns);
	if (s->max_batch_size)
		json_uint(json, "batch", r->batch);
	describe_tensors(json, "inputs", s->inputs, r->tensors, r->n_in);
	describe_tensors(json, "outputs", s->outputs, r->tensors + r->n_in, r->n_out);
	json_object_end(json);
}

/* Listing */

#define MIB (UINT64_C(1) << 20)

void recordings_put_advice(uint64_t bytes, struct buffer *ret)
{
	buffer_printf(ret,
		      "a call of %" PRIu64 " MiB, with its answer, can't be recorded, so no save is proved or timed by such "
		      "calls; start devserve with --max-recordings %" PRIu64 "M",
		      (bytes + MIB / 2) / MIB, recorder_each_for(bytes) / MIB);
}

/* @all: also those that were answered otherwise than what serves is to answer. */
static void describe_some(struct buffer *json, const struct plugin *p, const struct recorder_view *v, unsigned most,
			  bool all)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->n && n < most; i++) {
		const struct recording *r = recorder_at(v, i);

		if (!all && !deployment_answers_as(p->deployment, r->generation))
			continue;
		describe(json, p, r);
		n++;
	}
}

static void list(const struct plugin *p, unsigned most, bool all, struct buffer *json)
{
	struct handle *h = deployment_handle(p->deployment);
	struct recorder *recorder = deployment_recorder(p->deployment);
	_cleanup_buffer_ struct buffer advice = BUFFER_NULL;
	struct recorder_view v = { .n = 0 };

	if (recorder->too_large)
		recordings_put_advice(recorder->too_large, &advice);
	json_object(json, NULL);
	json_string(json, "deployment", p->name);
	json_string(json, "path", p->path);
	json_array(json, "recordings");
	if (h->signature)
		recorder_hold(recorder, h->signature, RECORDER_MAX, &v);
	describe_some(json, p, &v, most, all);
	recorder_release(recorder, &v);
	json_array_end(json);
	json_bool(json, "stateful", h->signature && h->signature->state.size > 0);
	json_string(json, "unrecorded", advice.data);
	json_object_end(json);
	buffer_putc(json, '\n');
}

void recordings_list(void *context, struct exchange *x)
{
	const struct plugins *ps = context;
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	const char *name = exchange_query(x, "deployment");
	const struct plugin *p = name ? plugins_find(ps, name) : NULL;
	uint64_t most = number_in(x, "limit");

	if (!name) {
		reply_refuse(x, 400, "which deployment? Ask for /-/recordings?deployment=NAME");
	} else if (!p || !p->deployment) {
		reply_refuse(x, 404, "there is no deployment of that name");
	} else {
		list(p, most && most < RECORDER_MAX ? (unsigned)most : RECORDER_MAX, !exchange_query(x, "counts"), &json);
		reply_json(x, 200, &json);
	}
}

/* One of them */

static struct plugin *find(const struct plugins *ps, uint64_t id)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (p->deployment && recorder_find(deployment_recorder(p->deployment), id))
			return p;
	return NULL;
}

static struct plugin *find_or_refuse(const struct plugins *ps, struct exchange *x)
{
	struct plugin *p = find(ps, number_in(x, "id"));

	if (!exchange_query(x, "id"))
		reply_refuse(x, 400, "which recording? It is to be named: id=17");
	else if (!p)
		reply_refuse(x, 404, "there is no recording of that number, or not any more; "
				      "'devserve record NAME --list' shows which there are");
	return p;
}

/* One that is being sent, from where it lies. */
struct sending {
	struct handle *handle; /* so that its recorder stays */
	struct recorder *recorder;
	struct recorder_view view;
};

static void on_sent(void *context)
{
	struct sending *s = context;

	recorder_release(s->recorder, &s->view);
	handle_unref(s->handle);
	free(s);
}

static int list_parts(const struct recording *r, const char *base, struct iovec *ret)
{
	int n = 0;

	for (uint32_t i = 0; i < r->n_in + r->n_out; i++)
		if (r->tensors[i].size)
			ret[n++] = (struct iovec){ (char *)base + r->tensors[i].offset, r->tensors[i].size };
	return n;
}

void recordings_get(void *context, struct exchange *x)
{
	struct plugin *p = find_or_refuse(context, x);
	struct iovec parts[2 * DEVSERVE_MAX_TENSORS];
	_cleanup_buffer_ struct buffer head = BUFFER_NULL;
	const struct recording *r;
	struct sending *s;

	if (!p)
		return;
	s = xcalloc(1, sizeof(*s));
	s->handle = handle_ref(deployment_handle(p->deployment));
	s->recorder = deployment_recorder(p->deployment);
	recorder_hold_one(s->recorder, number_in(x, "id"), &s->view);
	r = recorder_at(&s->view, 0);
	describe(&head, p, r);
	buffer_putc(&head, '\n');
	exchange_respond_with(x, 200, "application/octet-stream", &head, parts, list_parts(r, s->view.base, parts), on_sent, s);
}

/* Keeping one */

struct asker {
	struct exchange *x; /* NULL: he has gone */
	bool once;          /* and it's kept for him alone */
};

static void on_gone(void *context)
{
	struct asker *a = context;

	a->x = NULL;
}

static void tell_path(struct exchange *x, uint64_t id, const char *path)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_uint(&json, "id", id);
	json_string(&json, "path", path);
	json_object_end(&json);
	buffer_putc(&json, '\n');
	reply_json(x, 200, &json);
}

static void on_kept(void *context, uint64_t id, const char *path, const char *why)
{
	struct asker *a = context;

	if (a->x && why)
		reply_refuse(a->x, 500, why);
	else if (a->x)
		tell_path(a->x, id, path);
	else if (a->once)
		file_remove_tree(path);
	free(a);
}

static int keep(const struct plugin *p, uint64_t id, bool once, struct asker *a)
{
	struct deployment_image image = { .path = NULL };
	_cleanup_free_ char *state = NULL;
	struct deployment_stats stats;

	if (!deployment_get_image(p->deployment, &image))
		return -ENOEXEC;
	deployment_get_stats(p->deployment, &stats);
	if (image.has_state)
		state = xasprintf("%s/state/%s/0", p->plugins->state_dir, p->name);
	return cases_keep(p->plugins->cases, p->deployment, id, &(struct case_facts){
		.plugin = p->path,
		.generation = image.generation,
		.image = image.path,
		.weights = image.weights,
		.device = image.device,
		.state = state,
		.runtime = image.runtime,
		.cuda = image.cuda,
		.once = once,
		.rtol = stats.settings.rtol,
		.atol = stats.settings.atol,
	}, on_kept, a);
}

static void answer_later(struct exchange *x, struct asker *a)
{
	a->x = x;
	exchange_defer(x, on_gone, a);
}

/* What is there already, or about to be, is about the image that was refused because of it. */
static bool is_kept(const struct plugins *ps, uint64_t id, struct exchange *x)
{
	_cleanup_free_ char *path = cases_path(ps->state_dir, id);
	struct asker *a;

	if (!id)
		return false;
	a = xcalloc(1, sizeof(*a));
	if (cases_await(ps->cases, id, on_kept, a)) {
		answer_later(x, a);
		return true;
	}
	free(a);
	if (!file_is_directory(path))
		return false;
	tell_path(x, id, path);
	return true;
}

void recordings_keep(void *context, struct exchange *x)
{
	uint64_t id = number_in(x, "id");
	bool once = exchange_query(x, "once");
	const struct plugin *p;
	struct asker *a;
	int r;

	if (!once && is_kept(context, id, x))
		return;
	p = find_or_refuse(context, x);
	if (!p)
		return;
	a = xcalloc(1, sizeof(*a));
	a->once = once;
	r = keep(p, id, once, a);
	if (r == 0) {
		answer_later(x, a);
		return;
	}
	reply_refuse(x, 500, r == -ENOEXEC ? "no image serves" : strerror(-r));
	free(a);
}
