/* SPDX-License-Identifier: MIT */
#include "infer/decode.h"

#include "infer/dtype.h"
#include "support.h"

Test(decode_bytes, takes_every_datatype_in_binary)
{
	for (uint32_t dtype = DEVSERVE_BOOL; dtype <= DEVSERVE_BF16; dtype++) {
		size_t size = 3 * dtype_size(dtype);
		char bytes[32], rest[64];
		struct client c;

		if (dtype == DEVSERVE_BYTES)
			continue;
		memset(bytes, 1, sizeof(bytes));
		snprintf(rest, sizeof(rest), "\"parameters\":{\"binary_data_size\":%zu}", size);
		client_init(&c, signature_of(0, PORTS({ "X", dtype, { -1 } }),
					     PORTS({ "Y", DEVSERVE_FP32, { -1 } })));
		cr_assert_eq(client_send_binary(&c, input_x(dtype_name(dtype), "[3]", rest), bytes,
						size),
			     0, "%s", buffer_text(&c.r.error));
		cr_expect_eq(c.r.inputs[0].size, size);
		cr_expect_arr_eq(c.r.inputs[0].data, bytes, size);
		client_reset(&c);
		snprintf(rest, sizeof(rest), "\"parameters\":{\"binary_data_size\":%zu}", size + 1);
		expect_refused(&c,
			       client_send_binary(&c, input_x(dtype_name(dtype), "[3]", rest),
						  bytes, size + 1),
			       INFER_INVALID,
			       "input byte size mismatch for input 'X' for model 'm'. Expected *");
		cr_expect_eq(c.memory.n_reserved, 1, "refused before memory is reserved");
		client_fini(&c);
	}
}

Test(decode_bytes, mixes_json_and_binary_inputs)
{
	struct client c;
	int32_t in0[16];

	client_init(&c, signature_simple());
	for (int32_t i = 0; i < 16; i++)
		in0[i] = -i;
	cr_assert_eq(client_send_binary(
			     &c,
			     INPUTS(IN1
				    ",{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\","
				    "\"parameters\":{\"binary_data_size\":64}}"),
			     in0, sizeof(in0)),
		     0);
	cr_expect_arr_eq(c.r.inputs[0].data, in0, sizeof(in0));
	for (int32_t i = 0; i < 16; i++)
		cr_expect_eq(((int32_t *)c.r.inputs[1].data)[i], i + 1);
	client_fini(&c);
}

/* BYTES in binary: the elements tile the tensor. */

static void expect_bytes(const char *shape, const void *bytes, size_t size, const char *text)
{
	char rest[64];
	struct client c;
	int e;

	snprintf(rest, sizeof(rest), "\"parameters\":{\"binary_data_size\":%zu}", size);
	client_init(&c, signature_one(DEVSERVE_BYTES, -1));
	e = client_send_binary(&c, input_x("BYTES", shape, rest), bytes, size);
	if (text)
		expect_refused(&c, e, INFER_INVALID, text);
	else
		cr_expect_eq(e, 0, "%s", buffer_text(&c.r.error));
	client_fini(&c);
}

Test(decode_bytes, wants_bytes_to_tile_their_tensor)
{
	expect_bytes("[2]", "\1\0\0\0a\2\0\0\0bc", 11, NULL);
	expect_bytes("[2]", "\0\0\0\0\0\0\0\0", 8, NULL);
	expect_bytes("[0]", "", 0, NULL);
	expect_bytes("[2]", "\1\0\0\0a\2\0\0\0b", 10,
		     "incomplete string data for inference input 'X' for model 'm', expecting "
		     "string of length 2 but "
		     "only 1 bytes available");
	expect_bytes("[2]", "\1\0\0\0a\2\0\0", 8,
		     "incomplete string length indicator for inference input 'X' for model 'm', "
		     "expecting 4 bytes but "
		     "only 3 bytes available");
	expect_bytes("[1]", "\xff\xff\xff\xff\x01", 5,
		     "incomplete string data for inference input 'X' for model 'm', expecting "
		     "string of length "
		     "4294967295 but only 1 bytes available");
	expect_bytes("[3]", "\4\0\0\0abcd\0\0\0\0", 12,
		     "expected 3 string elements for inference input 'X' for model 'm', got 2");
	expect_bytes("[1]", "\1\0\0\0a\2\0\0\0bc", 11,
		     "unexpected number of string elements 2 for inference input 'X' for model "
		     "'m', expecting 1");
	expect_bytes("[0]", "\0\0\0\0", 4,
		     "unexpected number of string elements 1 for inference input 'X' for model "
		     "'m', expecting 0");
	expect_bytes("[3]", "\0\0\0\0\0\0\0\0", 8,
		     "input byte size mismatch for input 'X' for model 'm'. Expected at least 12, "
		     "got 8 (at inputs[0].parameters.binary_data_size)");
}

Test(decode_bytes, sizes_beyond_what_a_body_may_have_reserve_nothing)
{
	const char *json = input_x("BYTES", "[1]", "\"parameters\":{\"binary_data_size\":1000}");
	size_t size = strlen(json);
	struct client c;

	client_init(&c, signature_one(DEVSERVE_BYTES, -1));
	c.r.max_body = size + 999;
	expect_refused(&c, client_send(&c, json, size, size, SIZE_MAX, true), INFER_TOO_LARGE,
		       "the inputs' sizes make a body of more than *");
	cr_expect_eq(c.memory.n_reserved, 0);
	client_reset(&c);
	c.r.max_body = size + 1000;
	expect_refused(&c, client_send(&c, json, size, size, SIZE_MAX, true), INFER_INVALID,
		       "unexpected size for input 'X', expecting 1000 additional bytes for model 'm'");
	client_fini(&c);
}

Test(decode_bytes, lying_binary_sizes_reserve_nothing)
{
	struct client c;

	client_init(&c, signature_one(DEVSERVE_BYTES, -1));
	expect_refused(
		&c,
		client_send_binary(
			&c,
			input_x("BYTES", "[1]",
				"\"parameters\":{\"binary_data_size\":18446744073709551615}"),
			"x", 1),
		INFER_INVALID,
		"unexpected size for input 'X', expecting 18446744073709551614 additional bytes "
		"for model 'm'");
	client_reset(&c);
	expect_refused(&c,
		       client_send_binary(&c,
					  input_x("BYTES", "[1]",
						  "\"parameters\":{\"binary_data_size\":1e19}"),
					  "x", 1),
		       INFER_INVALID,
		       "unexpected size for input 'X', expecting 9999999999999999999 additional "
		       "bytes for model 'm'");
	client_reset(&c);
	cr_expect_eq(c.memory.n_reserved, 0);
	/* Chunked: nobody knows yet that it is a lie. */
	expect_refused(
		&c,
		client_send(&c,
			    input_x("BYTES", "[1]",
				    "\"parameters\":{\"binary_data_size\":18446744073709551615}"),
			    strlen(input_x(
				    "BYTES", "[1]",
				    "\"parameters\":{\"binary_data_size\":18446744073709551615}")),
			    strlen(input_x(
				    "BYTES", "[1]",
				    "\"parameters\":{\"binary_data_size\":18446744073709551615}")),
			    SIZE_MAX, true),
		INFER_TOO_LARGE,
		"the inputs are larger than the memory for all requests (--max-memory)");
	client_fini(&c);
}
