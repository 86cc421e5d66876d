/* SPDX-License-Identifier: MIT */
#include "infer/decode.h"

#include <inttypes.h>
#include <math.h>

#include "infer/dtype.h"
#include "support.h"

/* Malformed and mistaken requests to `simple` */

#define SHAPED(shape) \
	"{\"name\":\"INPUT0\",\"shape\":" shape ",\"datatype\":\"INT32\",\"data\":[1]}"
#define NAMED(name) "{\"name\":" name ",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1]}"
#define TYPED(type) "{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":" type ",\"data\":[1]}"
#define BOTH(rest) "{\"inputs\":[" IN0 "," IN1 "]," rest "}"

static const struct {
	const char *json, *text, *place;
} mistakes[] = {
	/* kinds */
	{ "[]", "failed to parse the request JSON buffer: it is not an object", NULL },
	{ "7", "failed to parse the request JSON buffer: it is not an object", NULL },
	{ "null", "failed to parse the request JSON buffer: it is not an object", NULL },
	{ "{\"inputs\":nonsense}", "failed to parse the request JSON buffer: *", NULL },
	{ "{", "failed to parse the request JSON buffer: *", NULL },
	{ " ", "failed to parse the request JSON buffer: *", NULL },
	{ "\xff", "failed to parse the request JSON buffer: *", NULL },
	{ "{}", "Unable to parse 'inputs': attempt to access JSON non-array as array", NULL },
	{ "{\"inputs\":{}}",
	  "Unable to parse 'inputs': attempt to access JSON non-array as array", NULL },
	{ "{\"inputs\":null}",
	  "Unable to parse 'inputs': attempt to access JSON non-array as array", NULL },
	{ "{\"id\":\"a\",\"id\":\"b\"}", "'id' comes twice", NULL },
	{ "{\"inputs\":[],\"inputs\":[" IN0 "," IN1 "]}", "'inputs' comes twice", NULL },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"shape\":[1]}"), "'shape' comes twice",
	  "inputs[0].shape" },
	{ INPUTS(IN0 ",{\"name\":\"INPUT1\",\"n\\u0061me\":\"INPUT0\"}"), "'name' comes twice",
	  "inputs[1].name" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":64,\"binary_data_size\":4}}"),
	  "'binary_data_size' comes twice", "inputs[0].parameters.binary_data_size" },
	{ BOTH("\"parameters\":{\"binary_data_output\":true,\"binary_data_output\":false}"),
	  "'binary_data_output' comes twice", "parameters.binary_data_output" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\",\"name\":\"OUTPUT1\"}]"), "'name' comes twice",
	  "outputs[0].name" },
	{ INPUTS("1"), "Unable to parse 'inputs': attempt to access JSON non-object as object",
	  "inputs[0]" },
	{ INPUTS("[]"), "Unable to parse 'inputs': attempt to access JSON non-object as object",
	  "inputs[0]" },
	{ INPUTS("{}"), "Unable to parse 'name': attempt to access JSON non-string as string",
	  "inputs[0].name" },
	{ INPUTS(NAMED("1")),
	  "Unable to parse 'name': attempt to access JSON non-string as string",
	  "inputs[0].name" },
	{ INPUTS(TYPED("8")),
	  "Unable to parse 'datatype': attempt to access JSON non-string as string",
	  "inputs[0].datatype" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16]}"),
	  "Unable to parse 'datatype': attempt to access JSON non-string as string",
	  "inputs[0].datatype" },
	{ INPUTS("{\"name\":\"INPUT0\",\"datatype\":\"INT32\"}"),
	  "Unable to parse 'shape': attempt to access JSON non-array as array",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("16")),
	  "Unable to parse 'shape': attempt to access JSON non-array as array",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[\"16\"]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer",
	  "inputs[0].shape[0]" },
	{ INPUTS(SHAPED("[1,-16]")), "Unable to parse 'shape': attempt to access JSON "
				     "non-unsigned-integer as unsigned-integer",
	  "inputs[0].shape[1]" },
	{ INPUTS(SHAPED("[1,16.5]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer",
	  "inputs[0].shape[1]" },
	{ INPUTS(SHAPED("[1,[16]]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer",
	  "inputs[0].shape[1]" },
	{ INPUTS(SHAPED("[1,true]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer",
	  "inputs[0].shape[1]" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":{}}"),
	  "Unable to parse 'data': attempt to access JSON non-array as array",
	  "inputs[0].data" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":null}"),
	  "Unable to parse 'data': attempt to access JSON non-array as array",
	  "inputs[0].data" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\"}"),
	  "input 'INPUT0' has neither 'data' nor 'binary_data_size'",
	  "inputs[0]" },
	{ BOTH("\"outputs\":{}"),
	  "Unable to parse 'outputs': attempt to access JSON non-array as array", NULL },
	{ BOTH("\"outputs\":[\"OUTPUT0\"]"),
	  "Unable to parse 'outputs': attempt to access JSON non-object as object",
	  "outputs[0]" },
	{ BOTH("\"outputs\":[{}]"),
	  "Unable to parse 'name': attempt to access JSON non-string as string",
	  "outputs[0].name" },
	{ BOTH("\"id\":7"), "Unable to parse 'id': attempt to access JSON non-string as string", NULL },
	/* parameters */
	{ BOTH("\"parameters\":[1,2]"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object", NULL },
	{ BOTH("\"parameters\":\"x\""),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object", NULL },
	{ BOTH("\"parameters\":null"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object", NULL },
	{ BOTH("\"parameters\":{\"n\":null}"),
	  "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'.",
	  "parameters.n" },
	{ BOTH("\"parameters\":{\"n\":[]}"),
	  "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'.",
	  "parameters.n" },
	{ BOTH("\"parameters\":{\"a\":1,\"n\":{}}"),
	  "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'.",
	  "parameters.n" },
	{ BOTH("\"parameters\":{\"triton_x\":1}"),
	  "parameter keys starting with 'triton_' are reserved for Triton usage and should not be "
	  "specified.",
	  "parameters.triton_x" },
	{ BOTH("\"parameters\":{\"timeout\":-1}"),
	  "Unable to parse 'timeout': attempt to access JSON non-unsigned integer as unsigned integer",
	  "parameters.timeout" },
	{ BOTH("\"parameters\":{\"binary_data_output\":1}"),
	  "Unable to parse 'binary_data_output': attempt to access JSON non-boolean as boolean",
	  "parameters.binary_data_output" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"binary_data\":\"yes\"}}]"),
	  "Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean",
	  "outputs[0].parameters.binary_data" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":7}]"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object",
	  "outputs[0].parameters" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":[64]"
		 "}"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object",
	  "inputs[0].parameters" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":\"64\"}}"),
	  "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as "
	  "unsigned-integer",
	  "inputs[0].parameters.binary_data_size" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":-64}}"),
	  "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as "
	  "unsigned-integer",
	  "inputs[0].parameters.binary_data_size" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":64}}"),
	  "must specify valid 'Infer-Header-Content-Length' in request header and "
	  "'binary_data_size' when "
	  "passing inputs in binary data format",
	  "inputs[0].parameters.binary_data_size" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1],"
		 "\"parameters\":{\"binary_data_size\":64}}"),
	  "input 'INPUT0' has both 'data' and 'binary_data_size'",
	  "inputs[0]" },
	/* names */
	{ INPUTS(NAMED("\"NOPE\"")), "unexpected inference input 'NOPE' for model 'm'",
	  "inputs[0].name" },
	{ INPUTS(NAMED("\"\"")), "unexpected inference input '' for model 'm'",
	  "inputs[0].name" },
	{ INPUTS(NAMED("\"INPUT0\\u0000\"")),
	  "unexpected inference input 'INPUT0\\u0000' for model 'm'",
	  "inputs[0].name" },
	{ INPUTS(NAMED("\"INPUT\"")), "unexpected inference input 'INPUT' for model 'm'",
	  "inputs[0].name" },
	{ INPUTS(IN0 "," IN0), "input 'INPUT0' already exists in request",
	  "inputs[1].name" },
	{ INPUTS(IN0),
	  "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['INPUT0'], but missing "
	  "required input(s) ['INPUT1']. Please provide all required input(s).", NULL },
	{ INPUTS(""),
	  "expected 2 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing required "
	  "input(s) ['INPUT0','INPUT1']. Please provide all required input(s).", NULL },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT2\"}]"),
	  "unexpected inference output 'OUTPUT2' for model 'm'",
	  "outputs[0].name" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\\u0000\"}]"),
	  "unexpected inference output 'OUTPUT0\\u0000' for model 'm'",
	  "outputs[0].name" },
	/* datatypes */
	{ INPUTS(TYPED("\"FP32\"")),
	  "inference input 'INPUT0' data-type is 'FP32', but model 'm' expects 'INT32'",
	  "inputs[0].datatype" },
	{ INPUTS(TYPED("\"int32\"")),
	  "inference input 'INPUT0' data-type is 'int32', but model 'm' expects 'INT32'",
	  "inputs[0].datatype" },
	{ INPUTS(TYPED("\"INT32\\u0000\"")),
	  "inference input 'INPUT0' data-type is 'INT32\\u0000', but model 'm' expects 'INT32'",
	  "inputs[0].datatype" },
	/* shapes */
	{ INPUTS(SHAPED("[1,17]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got [1,17]",
	  "inputs[0].shape[1]" },
	{ INPUTS(SHAPED("[1]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got [1]",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[1,16,1]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got [1,16,1]",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[1,1,1,1,1,1,1,1,16]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got "
	  "[1,1,1,1,1,1,1,1,…]",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[]")),
	  "input 'INPUT0' has no shape but model requires batch dimension for 'm'",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[0,16]")), "inference request batch-size must be >= 1 for 'm'",
	  "inputs[0].shape[0]" },
	{ INPUTS(SHAPED("[9,16]")), "inference request batch-size must be <= 8 for 'm'",
	  "inputs[0].shape[0]" },
	{ INPUTS(SHAPED("[4294967297,16]")), "inference request batch-size must be <= 8 for 'm'",
	  "inputs[0].shape[0]" },
	{ INPUTS(IN0 ",{\"name\":\"INPUT1\",\"shape\":[2,16],\"datatype\":\"INT32\",\"data\":[1]}"),
	  "input 'INPUT1' batch size does not match other inputs for 'm'",
	  "inputs[1].shape[0]" },
	{ INPUTS(SHAPED("[4611686018427387904,16]")),
	  "shape of input 'INPUT0' causes total element count to exceed maximum size of "
	  "9223372036854775807",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[9223372036854775808]")),
	  "shape of input 'INPUT0' causes total element count to exceed maximum size of "
	  "9223372036854775807",
	  "inputs[0].shape[0]" },
	{ INPUTS(SHAPED("[4,1152921504606846978]")), "byte size overflow for input 'INPUT0'",
	  "inputs[0].shape" },
	{ INPUTS(SHAPED("[2147483648,16]")), "inference request batch-size must be <= 8 for 'm'",
	  "inputs[0].shape[0]" },
	/* depth */
	{ BOTH("\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	       "[[[[[[[[[[[[[[[[[[[[[[["
	       "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	       "]]]]]]]]]]]]]]]]]"),
	  "JSON nesting depth exceeds maximum allowed limit (100) (at line 1, column 317)", NULL },
};

Test(decode, refuses_what_is_wrong_and_says_what)
{
	struct client c;

	client_init(&c, signature_simple());
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		int e = client_send_json(&c, mistakes[i].json);

		cr_expect_eq(e, INFER_INVALID, "%s: %d", mistakes[i].json, e);
		const char *place = mistakes[i].place;
		char text[512];

		snprintf(text, sizeof(text), place ? "%s (at %s)" : "%s", mistakes[i].text, place);
		cr_expect(says(&c, text), "%s\n says: %s", mistakes[i].json,
			  buffer_text(&c.r.error));
		cr_expect_eq(c.memory.n_reserved, 0, "%s reserves memory", mistakes[i].json);
		client_reset(&c);
	}
	client_fini(&c);
}

Test(decode, survives_a_hundred_thousand_brackets)
{
	size_t n = 100000;
	char *json = xmalloc(n + 200);
	size_t front = (size_t)snprintf(
		json, 200,
		"{\"inputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":");
	struct client c;

	client_init(&c, signature_one(DEVSERVE_INT32, -1));
	memset(json + front, '[', n);
	json[front + n] = '\0';
	expect_refused(&c, client_send_json(&c, json), INFER_INVALID,
		       "failed to parse the request JSON buffer: *");
	client_reset(&c);
	memset(json + front + n / 2, ']', n / 2);
	memcpy(json + front + n, "}]}", 4);
	expect_refused(&c, client_send_json(&c, json), INFER_INVALID,
		       "JSON nesting depth exceeds maximum allowed limit (100) (at line 1, column 160)");
	client_fini(&c);
	free(json);
}

Test(decode, needs_linear_time_for_many_parameters_inputs_and_outputs)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct client c;

	client_init(&c, signature_simple());
	buffer_puts(&b, "{\"parameters\":{");
	for (int i = 0; i < 100000; i++)
		buffer_printf(&b, "%s\"p%d\":%d", i ? "," : "", i, i);
	buffer_puts(&b, "},\"inputs\":[" IN0 "," IN1 "],\"outputs\":[");
	for (int i = 0; i < 100000; i++)
		buffer_printf(&b, "%s{\"name\":\"OUTPUT%d\"}", i ? "," : "", i % 2);
	buffer_puts(&b, "]}");
	cr_expect_eq(client_send_json(&c, b.data), 0);
	cr_expect_eq(c.r.n_wanted, 2);
	client_reset(&c);
	buffer_reset(&b);
	buffer_puts(&b, "{\"inputs\":[" IN0 "," IN1);
	for (int i = 0; i < 10000; i++)
		buffer_puts(&b, "," IN0);
	buffer_puts(&b, "]}");
	expect_refused(&c, client_send_json(&c, b.data), INFER_INVALID,
		       "input 'INPUT0' already exists in request (at inputs[2].name)");
	client_fini(&c);
}

Test(decode, caps_and_escapes_names_that_it_echoes)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL, json = BUFFER_NULL;
	struct iovec iov[DEVSERVE_MAX_TENSORS];
	struct client c;
	bool binary;
	int n;

	client_init(&c, signature_simple());
	for (size_t shift = 0; shift < 4; shift++) {
		buffer_reset(&b);
		buffer_puts(
			&b,
			"{\"inputs\":[{\"shape\":[1],\"datatype\":\"INT32\",\"name\":\"\\u0000\\n");
		for (size_t i = 0; i < shift; i++)
			buffer_putc(&b, 'a');
		for (size_t i = 0; i < 250000; i++)
			buffer_puts(&b, "\xf0\x9f\x98\x80");
		buffer_puts(&b, "\"}]}");
		expect_refused(&c, client_send_json(&c, b.data), INFER_INVALID,
			       "unexpected inference input '\\u0000\\u000a*");
		cr_expect_lt(c.r.error.size, 140);
		cr_expect_not_null(strstr(c.r.error.data, "\xf0\x9f\x98\x80…' for model 'm'"), "%s",
				   c.r.error.data);
		buffer_reset(&json);
		cr_expect_eq(infer_response_encode(&c.r, "m", &json, iov, &n, &binary),
			     INFER_INVALID);
		cr_expect_null(strstr(json.data, "\xef\xbf\xbd"), "a character was cut in half");
		client_reset(&c);
	}
	client_fini(&c);
}

/* What is accepted */

Test(decode, takes_batches_up_to_the_maximum)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct client c;

	client_init(&c, signature_simple());
	for (uint32_t batch = 1; batch <= 8; batch++) {
		buffer_reset(&b);
		buffer_puts(&b, "{\"inputs\":[");
		for (int i = 0; i < 2; i++) {
			buffer_printf(&b,
				      "%s{\"name\":\"INPUT%d\",\"datatype\":\"INT32\",\"shape\":[%"
				      "u,16],\"data\":[",
				      i ? "," : "", i, batch);
			for (uint32_t k = 0; k < batch * 16; k++)
				buffer_printf(&b, "%s%u", k ? "," : "", k);
			buffer_puts(&b, "]}");
		}
		buffer_puts(&b, "]}");
		cr_assert_eq(client_send_json(&c, b.data), 0, "%s", buffer_text(&c.r.error));
		cr_expect_eq(c.r.batch, batch);
		cr_expect_eq(c.r.inputs[0].size, batch * 64);
		client_reset(&c);
	}
	client_fini(&c);
}

Test(decode, says_that_shared_memory_and_classification_are_not_supported)
{
	struct client c;

	client_init(&c, signature_simple());
	expect_refused(
		&c,
		client_send_json(
			&c, INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\","
				   "\"parameters\":{\"shared_memory_region\":\"r\"}}")),
		INFER_UNSUPPORTED, "Client shared memory is not supported: *");
	client_reset(&c);
	expect_refused(&c,
		       client_send_json(&c, BOTH("\"outputs\":[{\"name\":\"OUTPUT0\","
						 "\"parameters\":{\"classification\":3}}]")),
		       INFER_UNSUPPORTED, "classification is not supported: *");
	client_fini(&c);
}

static void expect_id(const char *json, const char *id, size_t size)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct client c;

	buffer_printf(&b, "{\"inputs\":[" IN0 "," IN1 "],\"id\":%s}", json);
	client_init(&c, signature_simple());
	cr_assert_eq(client_send_json(&c, b.data), 0, "%s", buffer_text(&c.r.error));
	cr_expect_eq(c.r.id_size, size);
	cr_expect_eq(c.r.id != NULL, size != 0);
	if (size)
		cr_expect_arr_eq(c.r.id, id, size + 1);
	client_fini(&c);
}

Test(decode, keeps_the_id)
{
	char id[INFER_MAX_ID + 3];

	expect_id("\"42\"", "42", 2);
	expect_id("\"a\\u0000b\"", "a\0b", 3);
	expect_id("\"\"", NULL, 0);
	expect_id("null", NULL, 0);
	memset(id, 'i', sizeof(id));
	id[0] = id[sizeof(id) - 2] = '"';
	id[sizeof(id) - 1] = '\0';
	{
		char plain[INFER_MAX_ID + 1];

		memset(plain, 'i', INFER_MAX_ID);
		plain[INFER_MAX_ID] = '\0';
		expect_id(id, plain, INFER_MAX_ID);
	}
}

Test(decode, refuses_an_id_that_is_too_long)
{
	char json[INFER_MAX_ID + 1024];
	size_t at = (size_t)snprintf(json, sizeof(json), "{\"inputs\":[],\"id\":\"");
	struct client c;

	memset(json + at, 'i', INFER_MAX_ID + 1);
	memcpy(json + at + INFER_MAX_ID + 1, "\"}", 3);
	client_init(&c, signature_simple());
	expect_refused(&c, client_send_json(&c, json), INFER_INVALID,
		       "the id has 1025 bytes, and may have 1024");
	client_fini(&c);
}

Test(decode, handles_as_many_inputs_as_a_deployment_may_have)
{
	struct signature *s = signature_new();
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct client c;

	s->n_inputs = DEVSERVE_MAX_TENSORS;
	buffer_puts(&b, "{\"inputs\":[");
	for (uint32_t i = 0; i < s->n_inputs; i++) {
		s->inputs[i].name = xasprintf("I%u", i);
		s->inputs[i].dtype = DEVSERVE_UINT8;
		buffer_printf(
			&b,
			"%s{\"name\":\"I%u\",\"datatype\":\"UINT8\",\"shape\":[],\"data\":[%u]}",
			i ? "," : "", i, i);
	}
	buffer_puts(&b, "]}");
	client_init(&c, s);
	cr_assert_eq(client_send_json(&c, b.data), 0, "%s", buffer_text(&c.r.error));
	for (uint32_t i = 0; i < s->n_inputs; i++) {
		cr_expect_eq(*(uint8_t *)c.r.inputs[i].data, i);
		cr_expect_eq((uintptr_t)c.r.inputs[i].data % 64, 0);
	}
	cr_expect_eq(c.memory.largest, 64 * DEVSERVE_MAX_TENSORS);
	client_fini(&c);
}

Test(decode, takes_a_request_to_a_deployment_without_inputs)
{
	struct signature *s = signature_new();
	struct client c;

	client_init(&c, s);
	cr_expect_eq(client_send_json(&c, "{\"inputs\":[]}"), 0);
	cr_expect_eq(c.memory.n_reserved, 0);
	client_fini(&c);
}
