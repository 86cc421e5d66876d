/* SPDX-License-Identifier: MIT */
#include "infer/decode.h"

#include <inttypes.h>
#include <math.h>

#include "infer/dtype.h"
#include "support.h"

/* JSON of a request with one input X. */
static const char *input_x(const char *datatype, const char *shape, const char *rest)
{
	static char json[4096];

	snprintf(json, sizeof(json),
		 "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"%s\",\"shape\":%s,%s}]}", datatype,
		 shape, rest);
	return json;
}

static void expect_data(uint32_t dtype, const char *shape, const char *data, const void *bytes,
			size_t size)
{
	char rest[1024];
	struct client c;

	snprintf(rest, sizeof(rest), "\"data\":%s", data);
	client_init(&c, signature_one(dtype, -1));
	cr_assert_eq(client_send_json(&c, input_x(dtype_name(dtype), shape, rest)), 0, "%s %s: %s",
		     dtype_name(dtype), data, buffer_text(&c.r.error));
	cr_expect_eq(c.r.inputs[0].size, size);
	cr_expect_eq((uintptr_t)c.r.inputs[0].data % 64, 0);
	cr_expect_eq(memcmp(c.r.inputs[0].data, bytes, size), 0, "%s %s", dtype_name(dtype), data);
	client_fini(&c);
}

#define EXPECT_DATA(dtype, shape, data, type, ...)                     \
	expect_data(dtype, shape, data, (const type[]){ __VA_ARGS__ }, \
		    sizeof((const type[]){ __VA_ARGS__ }))

static void expect_bad_data(uint32_t dtype, const char *data, const char *text)
{
	char rest[1024];
	struct client c;

	snprintf(rest, sizeof(rest), "\"data\":%s", data);
	client_init(&c, signature_one(dtype, -1));
	expect_refused(&c, client_send_json(&c, input_x(dtype_name(dtype), "[1]", rest)),
		       INFER_INVALID, text);
	client_fini(&c);
}

Test(decode, reads_every_datatype_from_json_to_its_limits)
{
	EXPECT_DATA(DEVSERVE_BOOL, "[5]", "[true,false,1,0,1.0]", uint8_t, 1, 0, 1, 0, 1);
	EXPECT_DATA(DEVSERVE_UINT8, "[2]", "[0,255]", uint8_t, 0, UINT8_MAX);
	EXPECT_DATA(DEVSERVE_UINT16, "[2]", "[0,65535]", uint16_t, 0, UINT16_MAX);
	EXPECT_DATA(DEVSERVE_UINT32, "[2]", "[0,4294967295]", uint32_t, 0, UINT32_MAX);
	EXPECT_DATA(DEVSERVE_UINT64, "[2]", "[0,18446744073709551615]", uint64_t, 0, UINT64_MAX);
	EXPECT_DATA(DEVSERVE_INT8, "[2]", "[-128,127]", int8_t, INT8_MIN, INT8_MAX);
	EXPECT_DATA(DEVSERVE_INT16, "[2]", "[-32768,32767]", int16_t, INT16_MIN, INT16_MAX);
	EXPECT_DATA(DEVSERVE_INT32, "[2]", "[-2147483648,2147483647]", int32_t, INT32_MIN,
		    INT32_MAX);
	EXPECT_DATA(DEVSERVE_INT64, "[2]", "[-9223372036854775808,9223372036854775807]", int64_t,
		    INT64_MIN, INT64_MAX);
	EXPECT_DATA(DEVSERVE_FP32, "[4]", "[0.1,-1,3.4028235e38,1e-46]", float, 0.1f, -1,
		    3.4028235e38f, 0);
	EXPECT_DATA(DEVSERVE_FP64, "[4]", "[0.1,-1,1.7976931348623157e308,5e-324]", double, 0.1, -1,
		    1.7976931348623157e308, 5e-324);
	expect_data(DEVSERVE_BYTES, "[3]", "[\"a\",\"\",\"h\\u00e9\\u0000\"]",
		    "\1\0\0\0a\0\0\0\0\4\0\0\0h\xc3\xa9\0", 17);
}

Test(decode, takes_whole_numbers_however_they_are_written)
{
	EXPECT_DATA(DEVSERVE_INT32, "[4]", "[1e3,-2.0,12.5e1,-0.0]", int32_t, 1000, -2, 125, 0);
	EXPECT_DATA(DEVSERVE_UINT64, "[2]", "[1e19,9223372036854775808]", uint64_t,
		    UINT64_C(10000000000000000000), UINT64_C(9223372036854775808));
	EXPECT_DATA(DEVSERVE_INT64, "[1]", "[-9.223372036854775808e18]", int64_t, INT64_MIN);
	EXPECT_DATA(DEVSERVE_FP32, "[2]", "[16777217,18446744073709551615]", float, 16777216.0f,
		    18446744073709551616.0f);
	EXPECT_DATA(DEVSERVE_FP64, "[2]", "[9007199254740993,-1]", double, 9007199254740992.0, -1);
	EXPECT_DATA(DEVSERVE_FP32, "[1]", "[-0.0]", float, -0.0f);
}

Test(decode, refuses_numbers_out_of_the_range_of_their_datatype)
{
	static const struct {
		uint32_t dtype;
		const char *data;
	} all[] = {
		{ DEVSERVE_UINT8, "[256]" },
		{ DEVSERVE_UINT8, "[1e3]" },
		{ DEVSERVE_UINT8, "[-1.0]" },
		{ DEVSERVE_UINT16, "[65536]" },
		{ DEVSERVE_UINT32, "[4294967296]" },
		{ DEVSERVE_UINT64, "[18446744073709551616.0]" },
		{ DEVSERVE_INT8, "[128]" },
		{ DEVSERVE_INT8, "[-129]" },
		{ DEVSERVE_INT8, "[300]" },
		{ DEVSERVE_INT16, "[32768]" },
		{ DEVSERVE_INT16, "[-32769]" },
		{ DEVSERVE_INT32, "[2147483648]" },
		{ DEVSERVE_INT32, "[-2147483649]" },
		{ DEVSERVE_INT32, "[18446744073709551615]" },
		{ DEVSERVE_INT64, "[9223372036854775808]" },
		{ DEVSERVE_INT64, "[1e19]" },
		{ DEVSERVE_INT64, "[-1e19]" },
		{ DEVSERVE_INT64, "[9223372036854775808.0]" },
		{ DEVSERVE_FP32, "[1e39]" },
		{ DEVSERVE_FP32, "[-3.5e38]" },
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(text, sizeof(text),
			 "Unable to parse 'data': a number is out of range for %s (input 'X')",
			 dtype_name(all[i].dtype));
		expect_bad_data(all[i].dtype, all[i].data, text);
	}
	expect_bad_data(DEVSERVE_BOOL, "[2]",
			"Unable to parse 'data': a number is out of range for BOOL (input 'X')");
	/* Beyond every datatype: simdjson takes neither for a number. */
	expect_bad_data(DEVSERVE_UINT64, "[18446744073709551616]",
			"failed to parse the request JSON buffer: *");
	expect_bad_data(DEVSERVE_FP64, "[1e309]", "failed to parse the request JSON buffer: *");
	expect_bad_data(DEVSERVE_FP32, "[NaN]", "failed to parse the request JSON buffer: *");
	expect_bad_data(DEVSERVE_FP32, "[-Infinity]", "failed to parse the request JSON buffer: *");
}

Test(decode, refuses_elements_of_another_kind)
{
	static const char *const others[] = { "null", "\"1\"", "{}", "true", "1", "1.5", "-1" };
	static const struct {
		uint32_t dtype;
		const char *kind, *takes;
	} all[] = {
		{ DEVSERVE_BOOL, "boolean", "true 1" },
		{ DEVSERVE_UINT8, "unsigned-integer", "1" },
		{ DEVSERVE_UINT64, "unsigned-integer", "1" },
		{ DEVSERVE_INT8, "signed-integer", "1 -1" },
		{ DEVSERVE_INT64, "signed-integer", "1 -1" },
		{ DEVSERVE_FP32, "number", "1 -1 1.5" },
		{ DEVSERVE_FP64, "number", "1 -1 1.5" },
		{ DEVSERVE_BYTES, "string", "\"1\"" },
	};
	char text[128], data[32], word[16];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(text, sizeof(text),
			 "Unable to parse 'data': attempt to access JSON non-%s as %s (input 'X')",
			 all[i].kind, all[i].kind);
		for (size_t k = 0; k < ARRAY_SIZE(others); k++) {
			char takes[32];

			snprintf(takes, sizeof(takes), " %s ", all[i].takes);
			snprintf(word, sizeof(word), " %s ", others[k]);
			snprintf(data, sizeof(data), "[%s]", others[k]);
			if (!strstr(takes, word))
				expect_bad_data(all[i].dtype, data, text);
		}
	}
}

Test(decode, takes_data_flat_or_nested_like_the_shape)
{
	static const char *const shapes[] = { "[2,1,3]", "[1,6]", "[6,1]" };
	static const char *const good[][4] = {
		{ "[1,2,3,4,5,6]", "[[[1,2,3]],[[4,5,6]]]" },
		{ "[1,2,3,4,5,6]", "[[1,2,3,4,5,6]]" },
		{ "[1,2,3,4,5,6]", "[[1],[2],[3],[4],[5],[6]]" },
	};
	static const char *const bad[] = {
		"[]",
		"[1,2,3,4,5]",
		"[1,2,3,4,5,6,7]",
		"[[1,2,3],[4,5,6]]",
		"[[[1,2,3]],[[4,5]]]",
		"[[[1,2,3]],[[4,5,6]],[[7,8,9]]]",
		"[[[1,2,3]]]",
		"[[[1,2,3]],[4,5,6]]",
		"[1,2,3,4,5,[6]]",
		"[[[[1,2,3]]],[[[4,5,6]]]]",
		"[[[1,2,3],[4,5,6]]]",
		"[[],[]]",
		"[[1,2,3,4,5],[6]]",
		"[[[1,2,3]],4]",
		"[[[1],[2],[3]],[[4],[5],[6]]]",
	};
	char rest[128];
	struct client c;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		int64_t second = i == 0 ? 1 : -1;

		client_init(&c,
			    signature_of(0,
					 PORTS({ "X", DEVSERVE_INT8, { -1, second, i ? 0 : -1 } }),
					 PORTS({ "Y", DEVSERVE_INT8, { 1 } })));
		for (size_t k = 0; k < 2; k++) {
			snprintf(rest, sizeof(rest), "\"data\":%s", good[i][k]);
			cr_expect_eq(client_send_json(&c, input_x("INT8", shapes[i], rest)), 0,
				     "%s: %s", rest, buffer_text(&c.r.error));
			cr_expect_arr_eq(c.r.inputs[0].data, "\1\2\3\4\5\6", 6);
			client_reset(&c);
		}
		for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
			if (i && k == ARRAY_SIZE(bad) - 1)
				continue;
			snprintf(rest, sizeof(rest), "\"data\":%s", bad[k]);
			expect_refused(&c, client_send_json(&c, input_x("INT8", shapes[i], rest)),
				       INFER_INVALID,
				       "Unable to parse 'data': Shape does not match true shape of "
				       "'data' field "
				       "(input 'X')");
			client_reset(&c);
		}
		client_fini(&c);
	}
}

Test(decode, takes_strings_nested_too)
{
	struct client c;

	client_init(&c, signature_of(2, PORTS({ "X", DEVSERVE_BYTES, { 2 } }),
				     PORTS({ "Y", DEVSERVE_BYTES, { 2 } })));
	cr_assert_eq(client_send_json(&c, input_x("BYTES", "[2,2]",
						  "\"data\":[[\"a\",\"bc\"],[\"\",\"d\"]]")),
		     0);
	cr_expect_eq(c.r.batch, 2);
	cr_expect_eq(c.r.inputs[0].size, 20);
	cr_expect_arr_eq(c.r.inputs[0].data, "\1\0\0\0a\2\0\0\0bc\0\0\0\0\1\0\0\0d", 20);
	client_reset(&c);
	expect_refused(
		&c, client_send_json(&c, input_x("BYTES", "[2,2]", "\"data\":[\"a\",\"b\",\"c\"]")),
		INFER_INVALID,
		"Unable to parse 'data': Shape does not match true shape of 'data' field (input "
		"'X')");
	cr_expect_eq(c.memory.n_reserved, 1);
	client_fini(&c);
}

Test(decode, takes_tensors_without_elements)
{
	for (uint32_t dtype = DEVSERVE_BOOL; dtype <= DEVSERVE_BYTES; dtype++)
		if (dtype != DEVSERVE_FP16)
			expect_data(dtype, "[0]", "[]", "", 0);
}

Test(decode, takes_scalars)
{
	struct client c;

	client_init(&c, signature_of(0, PORTS({ "X", DEVSERVE_INT32, { 0 } }),
				     PORTS({ "Y", DEVSERVE_INT32, { 0 } })));
	cr_assert_eq(client_send_json(&c, input_x("INT32", "[]", "\"data\":[5]")), 0);
	cr_expect_eq(c.r.inputs[0].rank, 0);
	cr_expect_eq(*(int32_t *)c.r.inputs[0].data, 5);
	client_reset(&c);
	expect_refused(&c, client_send_json(&c, input_x("INT32", "[]", "\"data\":[[5]]")),
		       INFER_INVALID, "Unable to parse 'data': Shape does not match *");
	client_reset(&c);
	expect_refused(&c, client_send_json(&c, input_x("INT32", "[]", "\"data\":5")),
		       INFER_INVALID,
		       "Unable to parse 'data': attempt to access JSON non-array as array");
	client_fini(&c);
}

/* Malformed and mistaken requests to `simple` */

#define IN0                                                                                       \
	"{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1,2,3,4,5,6,7,8," \
	"9,10,11,12,13,14,15,16]}"
#define IN1                                                                                       \
	"{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1,2,3,4,5,6,7,8," \
	"9,10,11,12,13,14,15,16]}"
#define SHAPED(shape) \
	"{\"name\":\"INPUT0\",\"shape\":" shape ",\"datatype\":\"INT32\",\"data\":[1]}"
#define NAMED(name) "{\"name\":" name ",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1]}"
#define TYPED(type) "{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":" type ",\"data\":[1]}"
#define INPUTS(inputs) "{\"inputs\":[" inputs "]}"
#define BOTH(rest) "{\"inputs\":[" IN0 "," IN1 "]," rest "}"

static const struct {
	const char *json, *text;
} mistakes[] = {
	/* kinds */
	{ "[]", "failed to parse the request JSON buffer: it is not an object" },
	{ "7", "failed to parse the request JSON buffer: it is not an object" },
	{ "null", "failed to parse the request JSON buffer: it is not an object" },
	{ "{\"inputs\":nonsense}", "failed to parse the request JSON buffer: *" },
	{ "{", "failed to parse the request JSON buffer: *" },
	{ " ", "failed to parse the request JSON buffer: *" },
	{ "\xff", "failed to parse the request JSON buffer: *" },
	{ "{}", "Unable to parse 'inputs': attempt to access JSON non-array as array" },
	{ "{\"inputs\":{}}",
	  "Unable to parse 'inputs': attempt to access JSON non-array as array" },
	{ "{\"inputs\":null}",
	  "Unable to parse 'inputs': attempt to access JSON non-array as array" },
	{ INPUTS("1"), "Unable to parse 'inputs': attempt to access JSON non-object as object" },
	{ INPUTS("[]"), "Unable to parse 'inputs': attempt to access JSON non-object as object" },
	{ INPUTS("{}"), "Unable to parse 'name': attempt to access JSON non-string as string" },
	{ INPUTS(NAMED("1")),
	  "Unable to parse 'name': attempt to access JSON non-string as string" },
	{ INPUTS(TYPED("8")),
	  "Unable to parse 'datatype': attempt to access JSON non-string as string" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16]}"),
	  "Unable to parse 'datatype': attempt to access JSON non-string as string" },
	{ INPUTS("{\"name\":\"INPUT0\",\"datatype\":\"INT32\"}"),
	  "Unable to parse 'shape': attempt to access JSON non-array as array" },
	{ INPUTS(SHAPED("16")),
	  "Unable to parse 'shape': attempt to access JSON non-array as array" },
	{ INPUTS(SHAPED("[\"16\"]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer" },
	{ INPUTS(SHAPED("[1,-16]")), "Unable to parse 'shape': attempt to access JSON "
				     "non-unsigned-integer as unsigned-integer" },
	{ INPUTS(SHAPED("[1,16.5]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer" },
	{ INPUTS(SHAPED("[1,[16]]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer" },
	{ INPUTS(SHAPED("[1,true]")), "Unable to parse 'shape': attempt to access JSON "
				      "non-unsigned-integer as unsigned-integer" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":{}}"),
	  "Unable to parse 'data': attempt to access JSON non-array as array" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":null}"),
	  "Unable to parse 'data': attempt to access JSON non-array as array" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\"}"),
	  "input 'INPUT0' has neither 'data' nor 'binary_data_size'" },
	{ BOTH("\"outputs\":{}"),
	  "Unable to parse 'outputs': attempt to access JSON non-array as array" },
	{ BOTH("\"outputs\":[\"OUTPUT0\"]"),
	  "Unable to parse 'outputs': attempt to access JSON non-object as object" },
	{ BOTH("\"outputs\":[{}]"),
	  "Unable to parse 'name': attempt to access JSON non-string as string" },
	{ BOTH("\"id\":7"), "Unable to parse 'id': attempt to access JSON non-string as string" },
	/* parameters */
	{ BOTH("\"parameters\":[1,2]"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object" },
	{ BOTH("\"parameters\":\"x\""),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object" },
	{ BOTH("\"parameters\":null"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object" },
	{ BOTH("\"parameters\":{\"n\":null}"),
	  "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'." },
	{ BOTH("\"parameters\":{\"n\":[]}"),
	  "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'." },
	{ BOTH("\"parameters\":{\"a\":1,\"n\":{}}"),
	  "parameter 'n' has invalid type. It should be either 'int', 'bool', or 'string'." },
	{ BOTH("\"parameters\":{\"triton_x\":1}"),
	  "parameter keys starting with 'triton_' are reserved for Triton usage and should not be "
	  "specified." },
	{ BOTH("\"parameters\":{\"binary_data_output\":1}"),
	  "Unable to parse 'binary_data_output': attempt to access JSON non-boolean as boolean" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"binary_data\":\"yes\"}}]"),
	  "Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":7}]"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":[64]"
		 "}"),
	  "Unable to parse 'parameters': attempt to access JSON non-object as object" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":\"64\"}}"),
	  "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as "
	  "unsigned-integer" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":-64}}"),
	  "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as "
	  "unsigned-integer" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{"
		 "\"binary_data_size\":64}}"),
	  "must specify valid 'Infer-Header-Content-Length' in request header and "
	  "'binary_data_size' when "
	  "passing inputs in binary data format" },
	{ INPUTS("{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1],"
		 "\"parameters\":{\"binary_data_size\":64}}"),
	  "input 'INPUT0' has both 'data' and 'binary_data_size'" },
	/* names */
	{ INPUTS(NAMED("\"NOPE\"")), "unexpected inference input 'NOPE' for model 'm'" },
	{ INPUTS(NAMED("\"\"")), "unexpected inference input '' for model 'm'" },
	{ INPUTS(NAMED("\"INPUT0\\u0000\"")),
	  "unexpected inference input 'INPUT0\\u0000' for model 'm'" },
	{ INPUTS(NAMED("\"INPUT\"")), "unexpected inference input 'INPUT' for model 'm'" },
	{ INPUTS(IN0 "," IN0), "input 'INPUT0' already exists in request" },
	{ INPUTS(IN0),
	  "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['INPUT0'], but missing "
	  "required input(s) ['INPUT1']. Please provide all required input(s)." },
	{ INPUTS(""),
	  "expected 2 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing required "
	  "input(s) ['INPUT0','INPUT1']. Please provide all required input(s)." },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT2\"}]"),
	  "unexpected inference output 'OUTPUT2' for model 'm'" },
	{ BOTH("\"outputs\":[{\"name\":\"OUTPUT0\\u0000\"}]"),
	  "unexpected inference output 'OUTPUT0\\u0000' for model 'm'" },
	/* datatypes */
	{ INPUTS(TYPED("\"FP32\"")),
	  "inference input 'INPUT0' data-type is 'FP32', but model 'm' expects 'INT32'" },
	{ INPUTS(TYPED("\"int32\"")),
	  "inference input 'INPUT0' data-type is 'int32', but model 'm' expects 'INT32'" },
	{ INPUTS(TYPED("\"INT32\\u0000\"")),
	  "inference input 'INPUT0' data-type is 'INT32\\u0000', but model 'm' expects 'INT32'" },
	/* shapes */
	{ INPUTS(SHAPED("[1,17]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got [1,17]" },
	{ INPUTS(SHAPED("[1]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got [1]" },
	{ INPUTS(SHAPED("[1,16,1]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got [1,16,1]" },
	{ INPUTS(SHAPED("[1,1,1,1,1,1,1,1,16]")),
	  "unexpected shape for input 'INPUT0' for model 'm'. Expected [-1,16], got "
	  "[1,1,1,1,1,1,1,1,…]" },
	{ INPUTS(SHAPED("[]")),
	  "input 'INPUT0' has no shape but model requires batch dimension for 'm'" },
	{ INPUTS(SHAPED("[0,16]")), "inference request batch-size must be >= 1 for 'm'" },
	{ INPUTS(SHAPED("[9,16]")), "inference request batch-size must be <= 8 for 'm'" },
	{ INPUTS(SHAPED("[4294967297,16]")), "inference request batch-size must be <= 8 for 'm'" },
	{ INPUTS(IN0 ",{\"name\":\"INPUT1\",\"shape\":[2,16],\"datatype\":\"INT32\",\"data\":[1]}"),
	  "input 'INPUT1' batch size does not match other inputs for 'm'" },
	{ INPUTS(SHAPED("[4611686018427387904,16]")),
	  "shape of input 'INPUT0' causes total element count to exceed maximum size of "
	  "9223372036854775807" },
	{ INPUTS(SHAPED("[9223372036854775808]")),
	  "shape of input 'INPUT0' causes total element count to exceed maximum size of "
	  "9223372036854775807" },
	{ INPUTS(SHAPED("[4,1152921504606846978]")), "byte size overflow for input 'INPUT0'" },
	{ INPUTS(SHAPED("[2147483648,16]")), "inference request batch-size must be <= 8 for 'm'" },
	/* depth */
	{ BOTH("\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	       "[[[[[[[[[[[[[[[[[[[[[[["
	       "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	       "]]]]]]]]]]]]]]]]]"),
	  "JSON nesting depth exceeds maximum allowed limit (100)" },
};

Test(decode, refuses_what_is_wrong_and_says_what)
{
	struct client c;

	client_init(&c, signature_simple());
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		int e = client_send_json(&c, mistakes[i].json);

		cr_expect_eq(e, INFER_INVALID, "%s: %d", mistakes[i].json, e);
		cr_expect(says(&c, mistakes[i].text), "%s\n says: %s", mistakes[i].json,
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
		       "JSON nesting depth exceeds maximum allowed limit (100)");
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
		       "input 'INPUT0' already exists in request");
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

Test(decode, believes_a_shape_only_where_the_json_is_large_enough)
{
	struct client c;

	client_init(&c, signature_of(0, PORTS({ "X", DEVSERVE_FP64, { -1, -1 } }),
				     PORTS({ "Y", DEVSERVE_FP64, { 1 } })));
	expect_refused(&c, client_send_json(&c, input_x("FP64", "[100000,100000]", "\"data\":[1]")),
		       INFER_INVALID,
		       "Unable to parse 'data': Shape does not match true shape of 'data' field "
		       "(input 'X')");
	client_reset(&c);
	expect_refused(
		&c, client_send_json(&c, input_x("FP64", "[1073741824,536870912]", "\"data\":[]")),
		INFER_INVALID,
		"Unable to parse 'data': Shape does not match true shape of 'data' field (input "
		"'X')");
	cr_expect_eq(c.memory.n_reserved, 0);
	client_fini(&c);
}

Test(decode, wants_16_bit_floats_in_binary)
{
	static const uint32_t dtypes[] = { DEVSERVE_FP16, DEVSERVE_BF16 };
	static const uint16_t ones[] = { 0x3c00, 0x3c00 };
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(dtypes); i++) {
		const char *name = dtype_name(dtypes[i]);
		struct client c;

		client_init(&c, signature_one(dtypes[i], -1));
		snprintf(text, sizeof(text),
			 "receiving %s data via JSON is not supported. Please use the binary "
			 "data format for input X",
			 name);
		expect_refused(&c, client_send_json(&c, input_x(name, "[2]", "\"data\":[1,1]")),
			       INFER_INVALID, text);
		client_reset(&c);
		cr_expect_eq(client_send_binary(&c,
						input_x(name, "[2]",
							"\"parameters\":{\"binary_data_size\":4}"),
						ones, 4),
			     0);
		cr_expect_arr_eq(c.r.inputs[0].data, ones, 4);
		client_fini(&c);
	}
}

Test(decode, takes_every_datatype_in_binary)
{
	for (uint32_t dtype = DEVSERVE_BOOL; dtype <= DEVSERVE_BF16; dtype++) {
		size_t size = 3 * dtype_size(dtype);
		char bytes[32], rest[64];
		struct client c;

		if (dtype == DEVSERVE_BYTES)
			continue;
		memset(bytes, 1, sizeof(bytes));
		snprintf(rest, sizeof(rest), "\"parameters\":{\"binary_data_size\":%zu}", size);
		client_init(&c, signature_one(dtype, -1));
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

Test(decode, mixes_json_and_binary_inputs)
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

Test(decode, wants_bytes_to_tile_their_tensor)
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
		     "got 8");
}

Test(decode, lying_binary_sizes_reserve_nothing)
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
		INFER_TOO_LARGE, "the inputs are too large");
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

static void expect_wanted(const char *rest, const char *ports, const char *forms)
{
	char json[2048];
	struct client c;

	snprintf(json, sizeof(json), "{\"inputs\":[" IN0 "," IN1 "]%s}", rest);
	client_init(&c, signature_simple());
	cr_assert_eq(client_send_json(&c, json), 0, "%s", buffer_text(&c.r.error));
	cr_assert_eq(c.r.n_wanted, strlen(ports), "%s", rest);
	for (uint32_t i = 0; i < c.r.n_wanted; i++) {
		cr_expect_eq(c.r.wanted[i].port, (uint32_t)(ports[i] - '0'), "%s", rest);
		cr_expect_eq(c.r.wanted[i].binary, forms[i] == 'b', "%s", rest);
	}
	client_fini(&c);
}

Test(decode, wants_the_outputs_that_were_asked_for)
{
	expect_wanted("", "01", "jj");
	expect_wanted(",\"outputs\":[]", "01", "jj");
	expect_wanted(",\"outputs\":[{\"name\":\"OUTPUT1\"}]", "1", "j");
	expect_wanted(",\"outputs\":[{\"name\":\"OUTPUT1\"},{\"name\":\"OUTPUT0\"}]", "10", "jj");
	expect_wanted(",\"outputs\":[{\"name\":\"OUTPUT1\",\"parameters\":{\"binary_data\":true}},{"
		      "\"name\":\"OUTPUT0\"}]",
		      "10", "bj");
	expect_wanted(",\"parameters\":{\"binary_data_output\":true}", "01", "bb");
	expect_wanted(",\"parameters\":{\"binary_data_output\":false}", "01", "jj");
	expect_wanted(
		",\"parameters\":{\"binary_data_output\":true},\"outputs\":[{\"name\":\"OUTPUT0\"},"
		"{\"name\":\"OUTPUT1\",\"parameters\":{\"binary_data\":false}}]",
		"01", "bj");
	expect_wanted(",\"outputs\":[{\"name\":\"OUTPUT0\"},{\"name\":\"OUTPUT0\"}]", "0", "j");
}

Test(decode, ignores_what_it_does_not_know)
{
	expect_wanted(",\"parameters\":{\"sequence_id\":0,\"priority\":1,\"mine\":\"x\",\"ratio\":"
		      "0.5,\"on\":true}",
		      "01", "jj");
	expect_wanted(",\"future\":{\"a\":[null]}", "01", "jj");
	expect_wanted(
		",\"outputs\":[{\"name\":\"OUTPUT0\",\"future\":1,\"parameters\":{\"mine\":1}}]",
		"0", "j");
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

Test(decode, of_duplicate_members_takes_the_last)
{
	struct client c;

	client_init(&c, signature_one(DEVSERVE_INT8, -1));
	cr_assert_eq(client_send_json(&c,
				      "{\"inputs\":7,\"inputs\":[{\"name\":\"NOPE\",\"name\":\"X\","
				      "\"datatype\":\"INT8\","
				      "\"shape\":[9],\"shape\":[2],\"data\":[],\"data\":[1,2]}]}"),
		     0);
	cr_expect_arr_eq(c.r.inputs[0].data, "\1\2", 2);
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
