/* SPDX-License-Identifier: MIT */
#include "infer/request.h"

#include "support.h"

#define SIMPLE_JSON                                                                              \
	"{\"id\":\"7\",\"inputs\":["                                                             \
	"{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{\"binary_" \
	"data_size\":64}},"                                                                      \
	"{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{\"binary_" \
	"data_size\":64}}]}"

/* INPUT1 comes first in the body: 0…15, then INPUT0: 16…31. */
static size_t simple_body(char *ret)
{
	size_t size = sizeof(SIMPLE_JSON) - 1;

	memcpy(ret, SIMPLE_JSON, size);
	for (int32_t i = 0; i < 32; i++, size += 4)
		memcpy(ret + size, &i, 4);
	return size;
}

static void expect_simple(struct client *c)
{
	const int32_t *in0 = c->r.inputs[0].data, *in1 = c->r.inputs[1].data;

	cr_assert_eq(c->r.n_inputs, 2);
	cr_expect_eq(c->r.batch, 1);
	cr_expect_eq(c->r.id_size, 1);
	cr_expect_str_eq(c->r.id, "7");
	for (uint32_t i = 0; i < 2; i++) {
		const struct tensor *t = &c->r.inputs[i];

		cr_expect_eq(t->port, i);
		cr_expect_eq(t->dtype, DEVSERVE_INT32);
		cr_expect_eq(t->rank, 2);
		cr_expect(t->shape[0] == 1 && t->shape[1] == 16);
		cr_expect_eq(t->size, 64);
		cr_expect_eq((uintptr_t)t->data % 64, 0);
	}
	for (int32_t i = 0; i < 16; i++)
		cr_assert(in0[i] == 16 + i && in1[i] == i);
	cr_expect_eq(c->memory.n_reserved, 1);
	cr_expect_eq(c->r.n_wanted, 2);
	for (uint32_t i = 0; i < 2; i++)
		cr_expect(c->r.wanted[i].port == i && !c->r.wanted[i].binary);
}

Test(request, is_the_same_wherever_its_body_is_split)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	for (size_t split = 0; split <= size; split++) {
		cr_assert_eq(infer_request_body(&c.r, size, sizeof(SIMPLE_JSON) - 1), 0);
		cr_assert_eq(client_put(&c, body, split, SIZE_MAX), 0);
		cr_assert_eq(client_put(&c, body + split, size - split, SIZE_MAX), 0);
		cr_assert_eq(infer_request_end(&c.r), 0);
		expect_simple(&c);
		c.memory.n_reserved = 0;
		client_reset(&c);
	}
	client_fini(&c);
}

Test(request, may_come_in_pieces_of_any_size_announced_or_chunked)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	for (size_t step = 1; step <= 80; step++) {
		for (int chunked = 0; chunked < 2; chunked++) {
			cr_assert_eq(client_send(&c, body, size, sizeof(SIMPLE_JSON) - 1, step,
						 chunked),
				     0);
			expect_simple(&c);
			c.memory.n_reserved = 0;
			client_reset(&c);
		}
	}
	client_fini(&c);
}

Test(request, puts_the_bytes_of_a_tensor_where_they_belong_and_no_others)
{
	char body[1024];
	size_t size = simple_body(body), json_size = sizeof(SIMPLE_JSON) - 1, room = 0;
	struct client c;
	void *base = NULL;

	client_init(&c, signature_simple());
	cr_assert_eq(infer_request_body(&c.r, size, json_size), 0);
	infer_request_room(&c.r, &base, &room);
	cr_expect_eq(room, json_size);
	cr_assert_eq(client_put(&c, body, json_size, SIZE_MAX), 0);
	for (uint32_t i = 0; i < 2; i++) {
		infer_request_room(&c.r, &base, &room);
		cr_expect_eq(base, c.r.inputs[1 - i].data);
		cr_expect_eq(room, 64);
		memcpy(base, body + json_size + 64 * i, 1);
		cr_assert_eq(infer_request_filled(&c.r, 1), 0);
		infer_request_room(&c.r, &base, &room);
		cr_expect_eq(base, (char *)c.r.inputs[1 - i].data + 1);
		cr_expect_eq(room, 63);
		memcpy(base, body + json_size + 64 * i + 1, 63);
		cr_assert_eq(infer_request_filled(&c.r, 63), 0);
	}
	cr_assert_eq(infer_request_end(&c.r), 0);
	expect_simple(&c);
	client_fini(&c);
}

Test(request, that_is_given_up_halfway_gives_everything_back)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	for (size_t part = 0; part <= size; part++) {
		cr_assert_eq(infer_request_body(&c.r, size, sizeof(SIMPLE_JSON) - 1), 0);
		cr_assert_eq(client_put(&c, body, part, SIZE_MAX), 0);
		client_reset(&c);
	}
	client_reset(&c); /* not even a body was announced */
	client_fini(&c);
}

Test(request, that_was_never_filled_can_be_ended)
{
	struct infer_request r;

	memset(&r, 0, sizeof(r));
	infer_request_fini(&r);
	infer_request_fini(&r);
}

Test(request, keeps_what_its_owner_put_into_it)
{
	struct client c;

	client_init(&c, signature_simple());
	c.r.owner = &c;
	c.r.done = (void (*)(struct infer_request *))abort;
	client_reset(&c);
	cr_expect_eq(c.r.owner, &c);
	cr_expect_eq(c.r.done, (void (*)(struct infer_request *))abort);
	client_fini(&c);
}

Test(request, whose_body_ends_early_is_invalid_at_every_byte)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	for (size_t part = 0; part < size; part++) {
		for (int chunked = 0; chunked < 2; chunked++) {
			int e = infer_request_body(&c.r, chunked ? INFER_BODY_UNKNOWN : size,
						   sizeof(SIMPLE_JSON) - 1);

			cr_assert_eq(e, 0);
			cr_assert_eq(client_put(&c, body, part, SIZE_MAX), 0);
			cr_expect_eq(infer_request_end(&c.r), INFER_INVALID);
			cr_expect_gt(c.r.error.size, 0);
			client_reset(&c);
		}
	}
	client_fini(&c);
}

Test(request, says_which_tensor_is_short)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	expect_refused(
		&c, client_send(&c, body, size - 10, sizeof(SIMPLE_JSON) - 1, SIZE_MAX, true),
		INFER_INVALID,
		"unexpected size for input 'INPUT0', expecting 10 additional bytes for model 'm'");
	client_reset(&c);
	expect_refused(
		&c, client_send(&c, body, size - 70, sizeof(SIMPLE_JSON) - 1, SIZE_MAX, false),
		INFER_INVALID,
		"unexpected size for input 'INPUT1', expecting 6 additional bytes for model 'm'");
	cr_expect_eq(c.memory.n_reserved, 1, "the announced size is enough to see it");
	client_fini(&c);
}

Test(request, with_bytes_left_over_is_invalid)
{
	char body[1024] = "";
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	for (int chunked = 0; chunked < 2; chunked++) {
		int e = client_send(&c, body, size + 1, sizeof(SIMPLE_JSON) - 1, SIZE_MAX, chunked);

		expect_refused(&c, e, INFER_INVALID,
			       "unexpected additional input data for model 'm'");
		client_reset(&c);
	}
	client_fini(&c);
}

Test(request, takes_a_header_size_within_the_body_only)
{
	struct client c;

	client_init(&c, signature_simple());
	expect_refused(&c, infer_request_body(&c.r, 10, 11), INFER_INVALID,
		       "inference header size should be in range (0, 10), got: 11");
	client_reset(&c);
	expect_refused(&c, infer_request_body(&c.r, 0, 5), INFER_INVALID,
		       "inference header size should be in range (0, 0), got: 5");
	client_reset(&c);
	expect_refused(&c, client_send(&c, "{}", 2, 1000, 1, true), INFER_INVALID,
		       "inference header size should be in range (0, 2), got: 1000");
	client_fini(&c);
}

Test(request, throws_away_what_comes_after_a_refusal)
{
	char body[100000];
	struct client c;

	memset(body, 'x', sizeof(body));
	client_init(&c, signature_simple());
	cr_expect_eq(infer_request_body(&c.r, sizeof(body), 10), 0);
	expect_refused(&c, client_put(&c, body, 10, SIZE_MAX), INFER_INVALID,
		       "failed to parse the request JSON buffer: *");
	for (int i = 0; i < 100; i++) {
		void *base = NULL;
		size_t room = 0;

		infer_request_room(&c.r, &base, &room);
		cr_assert_gt(room, 0);
		memset(base, 'x', room);
		cr_assert_eq(infer_request_filled(&c.r, room), INFER_INVALID);
	}
	cr_expect_eq(infer_request_end(&c.r), INFER_INVALID);
	cr_expect_eq(c.memory.n_reserved, 0);
	client_fini(&c);
}

Test(request, is_answered_with_503_when_there_is_no_memory)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;

	client_init(&c, signature_simple());
	c.memory.full = true;
	expect_refused(&c, client_send(&c, body, size, sizeof(SIMPLE_JSON) - 1, SIZE_MAX, false),
		       INFER_UNAVAILABLE, "no memory for 128 bytes of inputs now");
	client_fini(&c);
}

Test(request, the_first_refusal_stays)
{
	struct client c;

	client_init(&c, signature_simple());
	cr_expect_eq(infer_request_refuse(&c.r, INFER_TIMEOUT, "after %d s", 30), INFER_TIMEOUT);
	cr_expect_eq(infer_request_refuse(&c.r, INFER_INTERNAL, "later"), INFER_TIMEOUT);
	cr_expect_eq(c.r.status, INFER_TIMEOUT);
	cr_expect_str_eq(c.r.error.data, "after 30 s");
	client_fini(&c);
}

Test(request, of_json_grows_with_a_chunked_body)
{
	_cleanup_buffer_ struct buffer body = BUFFER_NULL;
	int32_t n = 50000;
	struct client c;

	client_init(&c, signature_one(DEVSERVE_INT32, -1));
	buffer_printf(
		&body,
		"{\"inputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[%d],\"data\":[", n);
	for (int32_t i = 0; i < n; i++)
		buffer_printf(&body, "%s%d", i ? "," : "", i);
	buffer_puts(&body, "]}]}");
	for (int chunked = 0; chunked < 2; chunked++) {
		cr_assert_eq(client_send(&c, body.data, body.size, INFER_BODY_UNKNOWN, 1000,
					 chunked),
			     0);
		for (int32_t i = 0; i < n; i++)
			cr_assert_eq(((int32_t *)c.r.inputs[0].data)[i], i);
		client_reset(&c);
	}
	client_fini(&c);
}

/* Raw requests */

Test(request, without_json_is_the_tensor_of_the_only_input)
{
	float x[6] = { 1, 2, 3, 4, 5, 6 };
	struct client c;

	for (int chunked = 0; chunked < 2; chunked++) {
		client_init(&c, signature_of(4, PORTS({ "X", DEVSERVE_FP32, { -1, 3 } }),
					     PORTS({ "Y", DEVSERVE_FP32, { 1 } },
						   { "Z", DEVSERVE_FP32, { 1 } })));
		for (size_t step = 1; step <= sizeof(x); step++) {
			cr_assert_eq(client_send(&c, x, sizeof(x), 0, step, chunked), 0);
			cr_expect_eq(c.r.batch, 1);
			cr_expect_eq(c.r.n_inputs, 1);
			cr_expect_eq(c.r.inputs[0].rank, 3);
			cr_expect_eq(c.r.inputs[0].shape[0], 1);
			cr_expect_eq(c.r.inputs[0].shape[1], 2);
			cr_expect_eq(c.r.inputs[0].shape[2], 3);
			cr_expect_eq(c.r.inputs[0].size, sizeof(x));
			cr_expect_arr_eq(c.r.inputs[0].data, x, sizeof(x));
			cr_expect_eq(c.r.n_wanted, 2);
			cr_expect(c.r.wanted[0].binary && c.r.wanted[1].binary);
			cr_expect(c.r.wanted[0].port == 0 && c.r.wanted[1].port == 1);
			cr_expect_null(c.r.id);
			client_reset(&c);
		}
		client_fini(&c);
	}
}

Test(request, raw_of_bytes_gets_its_length_in_front)
{
	struct client c;

	client_init(&c, signature_one(DEVSERVE_BYTES, 1));
	for (int chunked = 0; chunked < 2; chunked++) {
		for (size_t size = 0; size <= 5; size++) {
			cr_assert_eq(client_send(&c, "hello", size, 0, 1, chunked), 0);
			cr_expect_eq(c.r.inputs[0].size, 4 + size);
			cr_expect_eq(*(uint32_t *)c.r.inputs[0].data, size);
			cr_expect_arr_eq((char *)c.r.inputs[0].data + 4, "hello", size);
			cr_expect(c.r.inputs[0].rank == 1 && c.r.inputs[0].shape[0] == 1);
			client_reset(&c);
		}
	}
	client_fini(&c);
}

static void expect_raw_refused(struct signature *s, size_t size, uint64_t json_size,
			       const char *text)
{
	char body[64] = "";
	struct client c;

	client_init(&c, s);
	for (int chunked = 0; chunked < 2; chunked++) {
		expect_refused(&c, client_send(&c, body, size, json_size, SIZE_MAX, chunked),
			       INFER_INVALID, text);
		client_reset(&c);
	}
	cr_expect_eq(c.memory.n_reserved, 0);
	client_fini(&c);
}

Test(request, raw_is_refused_where_the_tensor_cannot_be_told)
{
	expect_raw_refused(
		signature_simple(), 8, 0,
		"Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in "
		"'m' model configuration");
	expect_raw_refused(
		signature_of(0, PORTS({ "X", DEVSERVE_FP16, { -1, -1 } }),
			     PORTS({ "Y", DEVSERVE_FP16, { 1 } })),
		8, 0,
		"The shape of the raw input 'X' can not be deduced because there are more than one "
		"variable-sized dimension");
	expect_raw_refused(signature_one(DEVSERVE_BYTES, 2), 8, 0,
			   "For BYTE datatype raw input 'X', the model must have input shape [1]");
	expect_raw_refused(signature_one(DEVSERVE_BYTES, -1), 8, 0,
			   "For BYTE datatype raw input 'X', the model must have input shape [1]");
}

Test(request, raw_of_another_size_is_refused)
{
	expect_raw_refused(
		signature_one(DEVSERVE_INT32, 4), 15, 0,
		"input byte size mismatch for input 'X' for model 'm'. Expected 16, got 15");
	expect_raw_refused(
		signature_one(DEVSERVE_INT32, 4), 17, 0,
		"input byte size mismatch for input 'X' for model 'm'. Expected 16, got 17");
	expect_raw_refused(
		signature_one(DEVSERVE_INT32, -1), 6, 0,
		"input byte size mismatch for input 'X' for model 'm'. Expected 4, got 6");
	expect_raw_refused(
		signature_one(DEVSERVE_INT32, -1), 0, 0,
		"input byte size mismatch for input 'X' for model 'm'. Expected 4, got 0");
	expect_raw_refused(
		signature_of(0, PORTS({ "X", DEVSERVE_INT64, { INT64_MAX, INT64_MAX, -1 } }),
			     PORTS({ "Y", DEVSERVE_INT64, { 1 } })),
		8, 0, "input byte size mismatch for input 'X' for model 'm'. *");
}

Test(request, without_a_body_is_told_so_or_taken_for_a_raw_one)
{
	expect_raw_refused(signature_simple(), 0, INFER_BODY_UNKNOWN,
			   "Raw request must only have 1 input *");
	expect_raw_refused(signature_one(DEVSERVE_BYTES, 1), 0, INFER_BODY_UNKNOWN,
			   "the request has no body");
	expect_raw_refused(signature_one(DEVSERVE_INT32, -1), 0, INFER_BODY_UNKNOWN,
			   "the request has no body");
}

Test(request, raw_whose_bytes_are_no_bools_is_refused)
{
	struct client c;

	client_init(&c, signature_one(DEVSERVE_BOOL, -1));
	cr_expect_eq(client_send(&c, "\0\1\1", 3, 0, 1, false), 0);
	client_reset(&c);
	expect_refused(&c, client_send(&c, "\0\1\2", 3, 0, 1, false), INFER_INVALID,
		       "input 'X' of model 'm' has a BOOL that is neither 0 nor 1");
	client_fini(&c);
}

Test(request, does_not_allocate_in_steady_state)
{
	char body[1024];
	size_t size = simple_body(body);
	struct client c;
	char *before;

	client_init(&c, signature_simple());
	cr_assert_eq(client_send(&c, body, size, sizeof(SIMPLE_JSON) - 1, SIZE_MAX, false), 0);
	before = c.r.json.data;
	for (int i = 0; i < 100; i++) {
		client_reset(&c);
		cr_assert_eq(client_send(&c, body, size, sizeof(SIMPLE_JSON) - 1, SIZE_MAX, false),
			     0);
		cr_assert_eq(c.r.json.data, before);
	}
	client_fini(&c);
}

/* JSON of one number and @size bytes in all. */
static char *padded_json(size_t size)
{
	static const char json[] = "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],"
				   "\"data\":[7]}]}";
	char *text = xmalloc(size + 1);

	memset(text, ' ', size);
	memcpy(text, json, sizeof(json) - 1);
	text[size] = '\0';
	return text;
}

Test(request, counts_large_json_until_it_was_read)
{
	char *json = padded_json(3 << 20);
	size_t size = strlen(json);
	struct client c;

	client_init(&c, signature_one(DEVSERVE_INT32, -1));
	cr_assert_eq(infer_request_body(&c.r, size, INFER_BODY_UNKNOWN), 0);
	cr_expect_geq(c.memory.charged, size);
	cr_assert_eq(client_put(&c, json, size, SIZE_MAX), 0);
	cr_expect_eq(c.memory.charged, 0);
	cr_expect_eq(infer_request_end(&c.r), 0);
	client_reset(&c);
	cr_assert_eq(infer_request_body(&c.r, INFER_BODY_UNKNOWN, INFER_BODY_UNKNOWN), 0);
	cr_expect_eq(c.memory.charged, 0);
	cr_assert_eq(client_put(&c, json, size, 10000), 0);
	cr_expect_geq(c.memory.charged, size);
	client_reset(&c); /* the client is gone: see there that nothing is left */
	cr_assert_eq(client_send(&c, json, size, INFER_BODY_UNKNOWN, 10000, true), 0);
	cr_expect_eq(c.memory.charged, 0);
	client_fini(&c);
	free(json);
}

Test(request, does_not_count_small_json)
{
	char *json = padded_json(60000);
	struct client c;

	client_init(&c, signature_one(DEVSERVE_INT32, -1));
	cr_assert_eq(infer_request_body(&c.r, 60000, INFER_BODY_UNKNOWN), 0);
	cr_expect_eq(c.memory.charged, 0);
	cr_assert_eq(client_put(&c, json, 60000, SIZE_MAX), 0);
	client_fini(&c);
	free(json);
}

Test(request, refuses_json_that_the_budget_has_no_room_for)
{
	char *json = padded_json(40 << 20);
	size_t size = strlen(json);
	struct client c;

	client_init(&c, signature_one(DEVSERVE_INT32, -1));
	expect_refused(&c, infer_request_body(&c.r, TEST_LIMIT, INFER_BODY_UNKNOWN), INFER_TOO_LARGE,
		       "JSON would take *");
	client_reset(&c);
	/* The text would fit, but not beside what reading it takes. */
	expect_refused(&c, client_send_json(&c, json), INFER_TOO_LARGE, "JSON would take *");
	client_reset(&c);
	c.memory.charged = TEST_LIMIT / 2;
	expect_refused(&c, infer_request_body(&c.r, size, INFER_BODY_UNKNOWN), INFER_UNAVAILABLE,
		       "no memory for *");
	infer_request_fini(&c.r);
	cr_expect_eq(c.memory.charged, TEST_LIMIT / 2);
	c.memory.charged = 0;
	client_fini(&c);
	free(json);
}
