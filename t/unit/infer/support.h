/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tests of infer/ share: tensor memory on malloc() that counts and poisons,
 * signatures from ports, and a client that sends a body in pieces.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "infer/memory.h"
#include "infer/request.h"
#include "infer/signature.h"

#define POISON 0xa5

struct test_memory {
	struct infer_memory memory; /* first */
	unsigned n_live, n_reserved;
	size_t largest, charged;
	bool full;
};

static inline int test_reserve(struct infer_memory *memory, size_t size, void **ret,
			       uint64_t *ret_block)
{
	struct test_memory *m = (struct test_memory *)memory;

	m->n_reserved++;
	if (size > m->largest)
		m->largest = size;
	if (m->full || size > (64u << 20))
		return -12;
	cr_assert_eq(posix_memalign(ret, 64, size), 0);
	memset(*ret, POISON, size);
	m->n_live++;
	*ret_block = (uintptr_t)*ret;
	return 0;
}

static inline void test_release(struct infer_memory *memory, uint64_t block)
{
	((struct test_memory *)memory)->n_live--;
	free((void *)(uintptr_t)block);
}

#define TEST_LIMIT (64u << 20) /* what is charged */

static inline int test_charge(struct infer_memory *memory, size_t size)
{
	struct test_memory *m = (struct test_memory *)memory;

	if (size > TEST_LIMIT)
		return -27;
	if (m->full || m->charged + size > TEST_LIMIT)
		return -12;
	m->charged += size;
	return 0;
}

static inline void test_discharge(struct infer_memory *memory, size_t size)
{
	struct test_memory *m = (struct test_memory *)memory;

	cr_assert_leq(size, m->charged);
	m->charged -= size;
}

#define TEST_MEMORY { .memory = { test_reserve, test_release, test_charge, test_discharge } }

static inline uint32_t copy_ports(const struct devserve_port *from, struct signature_port *to)
{
	uint32_t n = 0;

	for (; from[n].name; n++) {
		to[n].name = xstrdup(from[n].name);
		to[n].dtype = from[n].dtype;
		while (to[n].rank < DEVSERVE_MAX_RANK && from[n].shape[to[n].rank]) {
			to[n].shape[to[n].rank] = from[n].shape[to[n].rank];
			to[n].rank++;
		}
	}
	return n;
}

/* Lists end at a NULL name. */
static inline struct signature *signature_of(uint32_t max_batch, const struct devserve_port *inputs,
					     const struct devserve_port *outputs)
{
	struct signature *s = signature_new();

	s->max_batch_size = max_batch;
	s->n_inputs = copy_ports(inputs, s->inputs);
	s->n_outputs = copy_ports(outputs, s->outputs);
	return s;
}

#define PORTS(...) ((const struct devserve_port[]){ __VA_ARGS__, { .name = NULL } })

/* Triton's `simple`. */
static inline struct signature *signature_simple(void)
{
	return signature_of(8,
			    PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				  { "INPUT1", DEVSERVE_INT32, { 16 } }),
			    PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
				  { "OUTPUT1", DEVSERVE_INT32, { 16 } }));
}

/* One input X, one output Y of the same kind. */
static inline struct signature *signature_one(uint32_t dtype, int64_t extent)
{
	return signature_of(0, PORTS({ "X", dtype, { extent } }),
			    PORTS({ "Y", dtype, { extent } }));
}

/* A request under test. The struct starts poisoned, for init must not need it otherwise. */
struct client {
	struct infer_request r;
	struct signature *signature;
	struct test_memory memory;
};

static inline void client_init(struct client *c, struct signature *s)
{
	memset(c, POISON, sizeof(*c));
	c->memory = (struct test_memory)TEST_MEMORY;
	c->signature = s;
	infer_request_init(&c->r, "m", s, &c->memory.memory);
}

/* Ends the request, and checks that it gave everything back. */
static inline void client_reset(struct client *c)
{
	infer_request_fini(&c->r);
	infer_request_fini(&c->r);
	cr_expect_eq(c->memory.n_live, 0);
	cr_expect_eq(c->memory.charged, 0);
	cr_expect_eq(c->signature->n_refs, 1);
	infer_request_init(&c->r, "m", c->signature, &c->memory.memory);
}

static inline void client_fini(struct client *c)
{
	client_reset(c);
	infer_request_fini(&c->r);
	c->signature = signature_unref(c->signature);
}

/* Put @size bytes, at most @step at a time. The first refusal ends it. */
static inline int client_put(struct client *c, const void *bytes, size_t size, size_t step)
{
	size_t at = 0;

	while (at < size) {
		void *base = NULL;
		size_t room = 0;
		int e;

		infer_request_room(&c->r, &base, &room);
		cr_assert_neq(base, NULL);
		cr_assert_gt(room, 0);
		if (room > size - at)
			room = size - at;
		if (room > step)
			room = step;
		memcpy(base, (const char *)bytes + at, room);
		at += room;
		e = infer_request_filled(&c->r, room);
		cr_assert_eq(e, (int)c->r.status);
		if (e)
			return e;
	}
	return 0;
}

/* A whole body. @json_size as in infer_request_body(); @chunked: the size isn't announced. */
static inline int client_send(struct client *c, const void *body, size_t size, uint64_t json_size,
			      size_t step, bool chunked)
{
	int e = infer_request_body(&c->r, chunked ? INFER_BODY_UNKNOWN : size, json_size);

	if (!e)
		e = client_put(c, body, size, step);
	if (!e)
		e = infer_request_end(&c->r);
	cr_assert_eq(e, (int)c->r.status);
	cr_assert_eq(e == 0, c->r.error.size == 0);
	return e;
}

static inline int client_send_json(struct client *c, const char *json)
{
	return client_send(c, json, strlen(json), INFER_BODY_UNKNOWN, SIZE_MAX, false);
}

/* JSON, then binary. */
static inline int client_send_binary(struct client *c, const char *json, const void *bytes,
				     size_t size)
{
	size_t json_size = strlen(json);
	char *body = xmalloc(json_size + size + 1);
	int e;

	memcpy(body, json, json_size);
	memcpy(body + json_size, bytes, size);
	e = client_send(c, body, json_size + size, json_size, SIZE_MAX, false);
	free(body);
	return e;
}

/* The sentence is @text, or begins with it where that ends in '*'. */
static inline bool says(const struct client *c, const char *text)
{
	const char *error = buffer_text(&c->r.error);
	size_t size = strlen(text);

	if (size && text[size - 1] == '*')
		return strncmp(error, text, size - 1) == 0;
	return strcmp(error, text) == 0;
}

#define expect_refused(c, e, wanted, text)                                               \
	do {                                                                             \
		cr_expect_eq((e), (int)(wanted), "status %d: %s", (int)(c)->r.status,    \
			     buffer_text(&(c)->r.error));                                \
		cr_expect(says((c), (text)), "it says: %s", buffer_text(&(c)->r.error)); \
	} while (0)

/* Let the outputs be the inputs, as an identity deployment does, and encode. */
static inline int client_echo(struct client *c, struct buffer *json, struct iovec *iov, int *ret_n,
			      bool *ret_binary)
{
	c->r.n_outputs = c->signature->n_outputs;
	for (uint32_t i = 0; i < c->r.n_outputs; i++) {
		c->r.outputs[i] = c->r.inputs[i];
		c->r.outputs[i].port = i;
	}
	return infer_response_encode(&c->r, "m", json, iov, ret_n, ret_binary);
}

/* JSON of a request with one input X. */
static inline const char *input_x(const char *datatype, const char *shape, const char *rest)
{
	static char json[4096];

	snprintf(json, sizeof(json),
		 "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"%s\",\"shape\":%s,%s}]}", datatype,
		 shape, rest);
	return json;
}

/* Of a request to `simple`. */
#define IN0                                                                                       \
	"{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1,2,3,4,5,6,7,8," \
	"9,10,11,12,13,14,15,16]}"
#define IN1                                                                                       \
	"{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1,2,3,4,5,6,7,8," \
	"9,10,11,12,13,14,15,16]}"
#define INPUTS(inputs) "{\"inputs\":[" inputs "]}"
