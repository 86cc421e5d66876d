/* SPDX-License-Identifier: MIT */
#include "infer/decoder.h"

#include <inttypes.h>
#include <math.h>

#include "infer/dtype.h"
#include "support.h"

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

Test(decode_input, reads_every_datatype_from_json_to_its_limits)
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

Test(decode_input, takes_whole_numbers_however_they_are_written)
{
	EXPECT_DATA(DEVSERVE_INT32, "[4]", "[1e3,-2.0,12.5e1,-0.0]", int32_t, 1000, -2, 125, 0);
	EXPECT_DATA(DEVSERVE_UINT64, "[2]", "[1e19,9223372036854775808]", uint64_t,
		    UINT64_C(10000000000000000000), UINT64_C(9223372036854775808));
	EXPECT_DATA(DEVSERVE_INT64, "[1]", "[-9.223372036854774784e18]", int64_t, INT64_MIN + 1024);
	EXPECT_DATA(DEVSERVE_FP32, "[2]", "[16777217,18446744073709551615]", float, 16777216.0f,
		    18446744073709551616.0f);
	EXPECT_DATA(DEVSERVE_FP64, "[2]", "[9007199254740993,-1]", double, 9007199254740992.0, -1);
	EXPECT_DATA(DEVSERVE_FP32, "[2]", "[-0.0,-0]", float, -0.0f, 0.0f);
	EXPECT_DATA(DEVSERVE_INT8, "[2]", "[-0.0,-0]", int8_t, 0, 0);
	EXPECT_DATA(DEVSERVE_FP64, "[3]", "[100000000000000000000,18446744073709551616,1]", double,
		    1e20, 18446744073709551616.0, 1);
	EXPECT_DATA(DEVSERVE_FP32, "[2]", "[-100000000000000000000,9007199254740993]", float, -1e20f,
		    9007199254740993.0f);
}

Test(decode_input, refuses_numbers_out_of_the_range_of_their_datatype)
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
		{ DEVSERVE_INT64, "[-9223372036854775808.0]" },
		{ DEVSERVE_INT64, "[9223372036854775808.0]" },
		{ DEVSERVE_FP32, "[1e39]" },
		{ DEVSERVE_FP32, "[-3.5e38]" },
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(text, sizeof(text),
			 "Unable to parse 'data': a number is out of range for %s of input 'X' "
			 "(at inputs[0].data[0])",
			 dtype_name(all[i].dtype));
		expect_bad_data(all[i].dtype, all[i].data, text);
	}
	expect_bad_data(DEVSERVE_BOOL, "[2]",
			"Unable to parse 'data': a number is out of range for BOOL of input 'X' "
			"(at inputs[0].data[0])");
	expect_bad_data(DEVSERVE_UINT64, "[18446744073709551616]",
			"Unable to parse 'data': a number is out of range for UINT64 of input 'X' "
			"(at inputs[0].data[0])");
	expect_bad_data(DEVSERVE_INT64, "[-9223372036854775809]",
			"Unable to parse 'data': a number is out of range for INT64 of input 'X' "
			"(at inputs[0].data[0])");
	/* Beyond every datatype. */
	expect_bad_data(DEVSERVE_FP64, "[1e309]",
			"failed to parse the request JSON buffer: a number is larger than any FP64 "
			"(at line 1, column 62)");
	expect_bad_data(DEVSERVE_FP32, "[NaN]",
			"failed to parse the request JSON buffer: JSON has no NaN and no Infinity "
			"(at line 1, column 62)");
	expect_bad_data(DEVSERVE_FP32, "[-Infinity]",
			"failed to parse the request JSON buffer: JSON has no NaN and no Infinity "
			"(at line 1, column 63)");
}

Test(decode_input, refuses_elements_of_another_kind)
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
			 "Unable to parse 'data': attempt to access JSON non-%s as %s of input 'X' "
			 "(at inputs[0].data[0])",
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

Test(decode_input, takes_data_flat_or_nested_like_the_shape)
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
				       "'data' field of input 'X' (at inputs[0].data*");
			client_reset(&c);
		}
		client_fini(&c);
	}
}

Test(decode_input, tells_where_nested_data_is_ragged_or_wrong)
{
	static const char shape[] = "Shape does not match true shape of 'data' field",
			  range[] = "a number is out of range for INT8",
			  kind[] = "attempt to access JSON non-signed-integer as signed-integer";
	static const struct {
		const char *data, *what, *place;
	} all[] = {
		{ "[]", shape, "" },
		{ "[1,2,3,4,5]", shape, "" },
		{ "[1,2,3,4,5,6,7]", shape, "[6]" },
		{ "[[1,2,3]]", shape, "" },
		{ "[[1,2],[4,5,6]]", shape, "[0]" },
		{ "[[1,2,3],[4,5]]", shape, "[1]" },
		{ "[[1,2,3],[4,5,6,7]]", shape, "[1][3]" },
		{ "[[1,2,3],[4,5,6],[7]]", shape, "[2]" },
		{ "[[1,2,3],4,5,6]", shape, "[1]" },
		{ "[1,2,3,[4,5,6]]", shape, "[3]" },
		{ "[[1,2,3],[4,[5],6]]", shape, "[1][1]" },
		{ "[[1,2,3],{}]", shape, "[1]" },
		{ "[1,2,3,4,5,128]", range, "[5]" },
		{ "[[1,2,3],[4,-129,6]]", range, "[1][1]" },
		{ "[1,2,3,4,5.5,6]", kind, "[4]" },
		{ "[[1,2,\"3\"],[4,5,6]]", kind, "[0][2]" },
		{ "[[1,2,3],[null,5,6]]", kind, "[1][0]" },
	};
	char rest[64], text[160];
	struct client c;

	client_init(&c, signature_of(0, PORTS({ "X", DEVSERVE_INT8, { 2, 3 } }),
				     PORTS({ "Y", DEVSERVE_INT8, { 1 } })));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(rest, sizeof(rest), "\"data\":%s", all[i].data);
		snprintf(text, sizeof(text),
			 "Unable to parse 'data': %s of input 'X' (at inputs[0].data%s)",
			 all[i].what, all[i].place);
		expect_refused(&c, client_send_json(&c, input_x("INT8", "[2,3]", rest)),
			       INFER_INVALID, text);
		client_reset(&c);
	}
	client_fini(&c);
}

Test(decode_input, takes_strings_nested_too)
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
		"Unable to parse 'data': Shape does not match true shape of 'data' field of "
		"input 'X' (at inputs[0].data)");
	cr_expect_eq(c.memory.n_reserved, 1);
	client_fini(&c);
}

Test(decode_input, takes_tensors_without_elements)
{
	for (uint32_t dtype = DEVSERVE_BOOL; dtype <= DEVSERVE_BYTES; dtype++)
		if (dtype != DEVSERVE_FP16)
			expect_data(dtype, "[0]", "[]", "", 0);
}

Test(decode_input, takes_scalars)
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
		       "Unable to parse 'data': attempt to access JSON non-array as array (at "
		       "inputs[0].data)");
	client_fini(&c);
}

Test(decode_input, believes_a_shape_only_where_the_json_is_large_enough)
{
	struct client c;

	client_init(&c, signature_of(0, PORTS({ "X", DEVSERVE_FP64, { -1, -1 } }),
				     PORTS({ "Y", DEVSERVE_FP64, { 1 } })));
	expect_refused(&c, client_send_json(&c, input_x("FP64", "[100000,100000]", "\"data\":[1]")),
		       INFER_INVALID,
		       "Unable to parse 'data': Shape does not match true shape of 'data' field "
		       "of input 'X' (at inputs[0].data)");
	client_reset(&c);
	expect_refused(
		&c, client_send_json(&c, input_x("FP64", "[1073741824,536870912]", "\"data\":[]")),
		INFER_INVALID,
		"Unable to parse 'data': Shape does not match true shape of 'data' field of "
		"input 'X' (at inputs[0].data)");
	cr_expect_eq(c.memory.n_reserved, 0);
	client_fini(&c);
}

Test(decode_input, wants_16_bit_floats_in_binary)
{
	static const uint32_t dtypes[] = { DEVSERVE_FP16, DEVSERVE_BF16 };
	static const uint16_t ones[] = { 0x3c00, 0x3c00 };
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(dtypes); i++) {
		const char *name = dtype_name(dtypes[i]);
		struct client c;

		client_init(&c, signature_of(0, PORTS({ "X", dtypes[i], { -1 } }),
					     PORTS({ "Y", DEVSERVE_FP32, { -1 } })));
		snprintf(text, sizeof(text),
			 "receiving %s data via JSON is not supported. Please use the binary "
			 "data format for input X (at inputs[0].data)",
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
