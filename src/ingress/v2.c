/* SPDX-License-Identifier: MIT */

/*
 *	GET  /v2                                    what the server is
 *	GET  /v2/health/live, /v2/health/ready
 *	GET  /v2/models/NAME[/versions/1]           metadata
 *	GET  /v2/models/NAME[/versions/1]/ready
 *	POST /v2/models/NAME[/versions/1]/infer
 *
 * Health answers with a status and a body: some clients look at one, some at the other.
 */

#include "ingress/v2.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "deploy/handle.h"
#include "infer/signature.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/route.h"

#define MAX_COPIED 4096 /* outputs up to this size are sent behind the head, in one piece */
#define MAX_QUOTED 200  /* bytes of a client's name in our sentences */

static void send_json(struct exchange *x, int status)
{
	struct response r = RESPONSE_NULL;

	r.status = status;
	r.type = "application/json";
	exchange_send(x, &r);
}

/* server */

static void run_live(struct exchange *x)
{
	buffer_puts(exchange_begin(x), "{\"live\":true}");
	send_json(x, 200);
}

static void run_ready(struct exchange *x)
{
	const struct ingress_options *o = &x->c->in->options;
	bool ready = !o->ready || o->ready(o->context);

	buffer_puts(exchange_begin(x), ready ? "{\"ready\":true}" : "{\"ready\":false}");
	send_json(x, ready ? 200 : 503);
}

static void run_server(struct exchange *x)
{
	struct buffer *b = exchange_begin(x);

	json_object(b, NULL);
	json_string(b, "name", "devserve");
	json_string(b, "version", x->c->in->options.version);
	json_array(b, "extensions");
	json_string(b, NULL, "binary_tensor_data");
	json_array_end(b);
	json_object_end(b);
	send_json(x, 200);
}

/* models */

static void refuse_unavailable(struct exchange *x)
{
	const struct handle *h = x->handle;

	if (h->state == HANDLE_LOADING)
		exchange_refuse(x, 503, "The deployment is not at ready state: its first build or "
					"load is under way. Try again in a moment.");
	else
		exchange_refuse(x, 503, h->reason ? h->reason : "The deployment is unavailable.");
}

static void run_metadata(struct exchange *x)
{
	const struct handle *h = x->handle;

	if (h->state != HANDLE_READY || !h->signature) {
		refuse_unavailable(x);
		return;
	}
	signature_metadata(h->signature, h->name, exchange_begin(x));
	send_json(x, 200);
}

static void run_model_ready(struct exchange *x)
{
	const struct handle *h = x->handle;
	struct buffer *b = exchange_begin(x);
	bool ready = h->state == HANDLE_READY;

	json_object(b, NULL);
	json_string(b, "name", h->name);
	json_bool(b, "ready", ready);
	if (h->state == HANDLE_UNAVAILABLE)
		json_string(b, "error", h->reason);
	json_object_end(b);
	send_json(x, ready ? 200 : 503);
}

/* infer */

static uint64_t json_size_of(const struct head *h)
{
	uint64_t n = 0;

	if (!h->json_size.at)
		return INFER_BODY_UNKNOWN;
	for (size_t i = 0; i < h->json_size.size; i++) {
		char digit = h->json_size.at[i];

		/* As Triton has it: what isn't a number announces a raw tensor. */
		if (digit < '0' || digit > '9' || n > UINT64_MAX / 100)
			return 0;
		n = n * 10 + (uint64_t)(digit - '0');
	}
	return n;
}

static void refuse_infer(struct exchange *x, int status)
{
	exchange_refuse(x, infer_status_http((enum infer_status)status), buffer_text(&x->r.error));
}

/* What a packed body becomes isn't known; an empty one is empty. */
static bool is_sized(const struct head *h)
{
	return !h->chunked && (!h->length || coding_of(h->content_encoding) == CODING_IDENTITY);
}

/* How the answer is to be packed. false: in no way that the client takes. */
static bool choose_coding(struct exchange *x, const struct head *h)
{
	struct coding_wish w = CODING_WISH_NULL;

	x->coding = CODING_IDENTITY;
	x->must_pack = false;
	if (!h->accept_encoding.at)
		return true;
	for (unsigned i = 0; i < h->n_fields; i++)
		if (h->fields[i].name.size == 15 && strncasecmp(h->fields[i].name.at, "accept-encoding", 15) == 0)
			coding_wish_read(&w, h->fields[i].value);
	if (x->c->in->options.compression)
		x->coding = coding_wish_best(&w);
	else if (!coding_wish_takes_plain(&w))
		x->coding = CODING_UNKNOWN;
	x->must_pack = !coding_wish_takes_plain(&w);
	return x->coding != CODING_UNKNOWN;
}

void v2_receive(struct exchange *x, const struct head *h)
{
	struct handle *handle = x->handle;
	int r;

	if (handle->state != HANDLE_READY) {
		refuse_unavailable(x);
		return;
	}
	if (!choose_coding(x, h)) {
		exchange_refuse(x, 406, "Answers come as gzip, deflate or identity, and Accept-Encoding takes "
					"none of them.");
		return;
	}
	infer_request_init(&x->r, handle->name, handle->signature, handle->memory);
	x->r.max_body = x->c->in->options.max_body;
	x->has_request = true;
	r = infer_request_body(&x->r, is_sized(h) ? h->length : INFER_BODY_UNKNOWN, json_size_of(h));
	if (r)
		refuse_infer(x, r);
}

/* Small outputs move behind the JSON; then deploy has its memory back at once. */
static void take_outputs(struct exchange *x, int n)
{
	size_t size = 0;

	for (int i = 0; i < n; i++)
		size += x->iov[i].iov_len;
	x->n_iov = n;
	if (size > MAX_COPIED)
		return;
	for (int i = 0; i < n; i++)
		buffer_append(&x->out, x->iov[i].iov_base, x->iov[i].iov_len);
	x->n_iov = 0;
	exchange_release_outputs(x);
}

static void answer(struct exchange *x)
{
	struct response r = RESPONSE_NULL;
	struct buffer *json = exchange_begin(x);
	bool binary = false;
	int n = 0;

	if (x->r.status != INFER_OK ||
	    infer_response_encode(&x->r, x->handle->name, json, x->iov, &n, &binary)) {
		refuse_infer(x, (int)x->r.status);
		return;
	}
	r.status = 200;
	r.type = binary ? "application/octet-stream" : "application/json";
	if (binary)
		r.json_size = json->size - RESPONSE_MAX_HEAD;
	take_outputs(x, n);
	packing_send(x, &r);
}

static void on_done(struct infer_request *r)
{
	struct exchange *x = r->owner;

	x->submitted = false;
	x->borrowed = true;
	x->generation = r->generation;
	answer(x);
}

static void run_infer(struct exchange *x)
{
	int r = infer_request_end(&x->r);

	if (r) {
		refuse_infer(x, r);
		return;
	}
	x->state = EXCHANGE_RUNNING;
	x->r.owner = x;
	x->r.done = on_done;
	x->submitted = true;
	handle_submit(x->handle, &x->r);
}

/* plan */

static void refuse(struct plan *p, int status, const char *sentence)
{
	p->status = status;
	p->sentence = sentence;
}

/* One that reads. */
static bool plan_get(const struct head *h, void (*run)(struct exchange *x), struct plan *p)
{
	p->run = run;
	if (!route_reads(h))
		route_refuse_method(h, "GET, HEAD, OPTIONS", p);
	return true;
}

static bool is(struct span s, const char *text)
{
	return s.size == strlen(text) && memcmp(s.at, text, s.size) == 0;
}

/* Cut @rest at its first '/': returns what is before, leaves what is behind. */
static struct span next_segment(struct span *rest)
{
	const char *slash = rest->size ? memchr(rest->at, '/', rest->size) : NULL;
	struct span s = { rest->at, slash ? (size_t)(slash - rest->at) : rest->size };
	size_t n = s.size + (slash != NULL);

	*rest = (struct span){ rest->at + n, rest->size - n };
	return s;
}

/* The last handle is remembered: most connections ask for one deployment only. */
static struct handle *find_handle(struct connection *c, struct span name)
{
	struct handle *h = c->handle;

	if (h && h->state == HANDLE_READY && strncmp(h->name, name.at, name.size) == 0 &&
	    !h->name[name.size])
		return handle_ref(h);
	h = handle_find(c->in->deploy, name.at, name.size);
	if (!h)
		return NULL;
	if (c->handle)
		handle_unref(c->handle);
	c->handle = handle_ref(h);
	return h;
}

static int quoted(struct span s)
{
	return (int)(s.size < MAX_QUOTED ? s.size : MAX_QUOTED);
}

static void refuse_unknown(struct ingress *in, struct span name, struct plan *p)
{
	buffer_reset(&in->sentence);
	buffer_printf(&in->sentence, "Request for unknown model: '%.*s' is not found", quoted(name),
		      name.at);
	refuse(p, 404, buffer_text(&in->sentence));
}

static bool is_number(struct span s)
{
	for (size_t i = 0; i < s.size; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	return s.size > 0;
}

/* Generations aren't versions: each deployment has one, "1", whatever serves. */
static bool check_version(struct ingress *in, struct span name, struct span version, struct plan *p)
{
	if (is(version, "1"))
		return true;
	buffer_reset(&in->sentence);
	if (is_number(version))
		buffer_printf(&in->sentence, "Request for unknown model: '%.*s' version %.*s is not found",
			      quoted(name), name.at, quoted(version), version.at);
	else
		buffer_printf(&in->sentence,
			      "failed to get model version from specified version string '%.*s'",
			      quoted(version), version.at);
	refuse(p, 404, buffer_text(&in->sentence));
	return false;
}

static bool plan_infer(const struct head *h, struct plan *p)
{
	p->sink = SINK_INFER;
	p->run = run_infer;
	if (h->method != METHOD_POST)
		route_refuse_method(h, "POST, OPTIONS", p);
	return true;
}

/* "NAME", "NAME/infer", "NAME/versions/1/infer" … */
static bool plan_model(struct ingress *in, struct exchange *x, const struct head *h, struct span rest,
		       struct plan *p)
{
	bool slash = rest.size && rest.at[rest.size - 1] == '/';
	struct span name = next_segment(&rest), verb = next_segment(&rest), version = { "1", 1 };

	if (is(verb, "versions")) {
		version = next_segment(&rest);
		verb = next_segment(&rest);
	}
	if (slash || rest.size || (!is(verb, "infer") && !is(verb, "ready") && verb.size))
		return false;
	x->handle = find_handle(x->c, name);
	if (!x->handle) {
		refuse_unknown(in, name, p);
		return true;
	}
	if (!check_version(in, name, version, p))
		return true;
	if (is(verb, "infer"))
		return plan_infer(h, p);
	return plan_get(h, verb.size ? run_model_ready : run_metadata, p);
}

bool v2_plan(struct ingress *in, struct exchange *x, const struct head *h, struct plan *ret)
{
	struct span path = h->target.path;

	if (path.size > 11 && memcmp(path.at, "/v2/models/", 11) == 0)
		return plan_model(in, x, h, (struct span){ path.at + 11, path.size - 11 }, ret);
	if (is(path, "/v2"))
		return plan_get(h, run_server, ret);
	ret->health = true;
	if (is(path, "/v2/health/live"))
		return plan_get(h, run_live, ret);
	if (is(path, "/v2/health/ready"))
		return plan_get(h, run_ready, ret);
	ret->health = false;
	return false;
}
