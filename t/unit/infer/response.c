/* SPDX-License-Identifier: MIT */
#include "infer/request.h"

#include <inttypes.h>
#include <math.h>

#include "infer/dtype.h"
#include "support.h"

struct answer {
	struct buffer json;
	struct iovec iov[DEVSERVE_MAX_TENSORS];
	int n;
	bool binary;
};

static void answer_init(struct answer *a)
{
	memset(a, POISON, sizeof(*a));
	a->json = (struct buffer)BUFFER_NULL;
}

/* An answer of an identity deployment X → Y, asked with this data; as JSON unless @binary. */
static void expect_echo(uint32_t dtype, const char *shape, const char *data, const char *answer)
{
	char json[1024], expected[1024];
	struct answer a;
	struct client c;

	answer_init(&a);
	client_init(&c, signature_one(dtype, -1));
	snprintf(json, sizeof(json),
		 "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"%s\",\"shape\":%s,\"data\":%s}]}",
		 dtype_name(dtype), shape, data);
	cr_assert_eq(client_send_json(&c, json), 0, "%s: %s", json, buffer_text(&c.r.error));
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), 0);
	snprintf(expected, sizeof(expected),
		 "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"Y\","
		 "\"datatype\":\"%s\","
		 "\"shape\":%s,\"data\":%s}]}",
		 dtype_name(dtype), shape, answer ? answer : data);
	cr_expect_str_eq(a.json.data, expected);
	cr_expect_eq(strlen(a.json.data), a.json.size);
	cr_expect_eq(a.n, 0);
	cr_expect_not(a.binary);
	buffer_fini(&a.json);
	client_fini(&c);
}

Test(response, says_every_datatype_as_it_came)
{
	expect_echo(DEVSERVE_BOOL, "[2]", "[true,false]", NULL);
	expect_echo(DEVSERVE_UINT8, "[2]", "[0,255]", NULL);
	expect_echo(DEVSERVE_UINT16, "[2]", "[0,65535]", NULL);
	expect_echo(DEVSERVE_UINT32, "[2]", "[0,4294967295]", NULL);
	expect_echo(DEVSERVE_UINT64, "[2]", "[0,18446744073709551615]", NULL);
	expect_echo(DEVSERVE_INT8, "[2]", "[-128,127]", NULL);
	expect_echo(DEVSERVE_INT16, "[2]", "[-32768,32767]", NULL);
	expect_echo(DEVSERVE_INT32, "[2]", "[-2147483648,2147483647]", NULL);
	expect_echo(DEVSERVE_INT64, "[2]", "[-9223372036854775808,9223372036854775807]", NULL);
	expect_echo(DEVSERVE_FP32, "[5]", "[0.1,-1.5,3.4028235e+38,1e-45,-0.0]", NULL);
	expect_echo(DEVSERVE_FP64, "[4]",
		    "[0.1,0.10000000149011612,1.7976931348623157e+308,5e-324]", NULL);
	expect_echo(DEVSERVE_BYTES, "[4]", "[\"a\",\"\",\"\\\"\\\\\\n\",\"h\xc3\xa9\"]", NULL);
	expect_echo(DEVSERVE_BYTES, "[3]", "[\"\\u0000\",\"\\u00e9\",\"x\"]",
		    "[\"\\u0000\",\"\xc3\xa9\",\"x\"]");
	expect_echo(DEVSERVE_BYTES, "[2]", "[\"\\u0001\",\"\\u0002\"]", NULL);
}

Test(response, flattens_data_and_says_nothing_of_no_elements)
{
	expect_echo(DEVSERVE_INT32, "[0]", "[]", NULL);
	expect_echo(DEVSERVE_BYTES, "[0]", "[]", NULL);
}

Test(response, of_many_numbers_is_as_long_as_it_must_be)
{
	_cleanup_buffer_ struct buffer data = BUFFER_NULL, json = BUFFER_NULL;
	struct answer a;
	struct client c;
	int n = 1000;

	for (int i = 0; i < n; i++)
		buffer_printf(&data, "%s%d", i ? "," : "", INT32_MIN + i);
	buffer_printf(&json,
		      "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[%d],\"data\":"
		      "[%s]}]}",
		      n, data.data);
	answer_init(&a);
	client_init(&c, signature_one(DEVSERVE_INT32, -1));
	cr_assert_eq(client_send_json(&c, json.data), 0);
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), 0);
	cr_expect_not_null(strstr(a.json.data, data.data));
	cr_expect_str_eq(a.json.data + a.json.size - 4, "]}]}");
	buffer_fini(&a.json);
	client_fini(&c);
}

#define IN(name)            \
	"{\"name\":\"" name \
	"\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":64}}"
#define HEAD(outputs) \
	"{\"id\":\"a\\\"b\",\"inputs\":[" IN("INPUT0") "," IN("INPUT1") "]," outputs "}"

static void ask_simple(struct client *c, struct answer *a, const char *json)
{
	char bytes[128];

	for (int i = 0; i < 128; i++)
		bytes[i] = i % 4 == 0 ? (char)(i / 4) : 0;
	answer_init(a);
	client_init(c, signature_simple());
	cr_assert_eq(client_send_binary(c, json, bytes, sizeof(bytes)), 0, "%s",
		     buffer_text(&c->r.error));
	cr_expect_eq(client_echo(c, &a->json, a->iov, &a->n, &a->binary), 0);
}

Test(response, points_to_binary_tensors_in_the_order_that_was_asked_for)
{
	struct answer a;
	struct client c;

	ask_simple(&c, &a,
		   HEAD("\"parameters\":{\"binary_data_output\":true},\"outputs\":[{\"name\":"
			"\"OUTPUT1\"},{\"name\":\"OUTPUT0\"}]"));
	cr_expect_str_eq(
		a.json.data,
		"{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"a\\\"b\",\"outputs\":["
		"{\"name\":\"OUTPUT1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"parameters\":{"
		"\"binary_data_size\":64}},"
		"{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"parameters\":{"
		"\"binary_data_size\":64}}]}");
	cr_expect(a.binary);
	cr_assert_eq(a.n, 2);
	cr_expect_eq(a.iov[0].iov_base, c.r.outputs[1].data);
	cr_expect_eq(a.iov[1].iov_base, c.r.outputs[0].data);
	cr_expect(a.iov[0].iov_len == 64 && a.iov[1].iov_len == 64);
	buffer_fini(&a.json);
	client_fini(&c);
}

Test(response, mixes_json_and_binary_outputs)
{
	struct answer a;
	struct client c;

	ask_simple(&c, &a,
		   HEAD("\"outputs\":[{\"name\":\"OUTPUT0\"},{\"name\":\"OUTPUT1\",\"parameters\":{"
			"\"binary_data\":true}}]"));
	cr_expect_str_eq(
		a.json.data,
		"{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"a\\\"b\",\"outputs\":["
		"{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[0,1,2,3,4,"
		"5,6,7,8,9,10,11,12,13,14,15]},"
		"{\"name\":\"OUTPUT1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"parameters\":{"
		"\"binary_data_size\":64}}]}");
	cr_expect(a.binary);
	cr_assert_eq(a.n, 1);
	cr_expect_eq(a.iov[0].iov_base, c.r.outputs[1].data);
	buffer_fini(&a.json);
	client_fini(&c);
}

Test(response, is_appended_to_what_is_there)
{
	struct answer a;
	struct client c;

	ask_simple(
		&c, &a,
		HEAD("\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"binary_data\":true}}]"));
	buffer_reset(&a.json);
	buffer_puts(&a.json, "HEADERS\r\n");
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), 0);
	cr_expect_eq(strncmp(a.json.data, "HEADERS\r\n{\"model_name\"", 22), 0);
	infer_request_refuse(&c.r, INFER_INTERNAL, "it broke");
	buffer_reset(&a.json);
	buffer_puts(&a.json, "HEADERS\r\n");
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), INFER_INTERNAL);
	cr_expect_str_eq(a.json.data, "HEADERS\r\n{\"error\":\"it broke\"}");
	cr_expect(a.n == 0 && !a.binary);
	buffer_fini(&a.json);
	client_fini(&c);
}

Test(response, without_elements_is_binary_with_nothing_to_send)
{
	struct answer a;
	struct client c;

	answer_init(&a);
	client_init(&c, signature_one(DEVSERVE_FP32, -1));
	cr_assert_eq(
		client_send_json(
			&c,
			"{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"X\","
			"\"datatype\":\"FP32\",\"shape\":[0],\"data\":[]}]}"),
		0);
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), 0);
	cr_expect(a.binary);
	cr_expect_eq(a.n, 0);
	buffer_fini(&a.json);
	client_fini(&c);
}

/* Binary in, JSON asked for: what JSON cannot say. */
static void expect_unsayable(uint32_t dtype, const void *bytes, size_t size,
			     enum infer_status status, const char *text)
{
	char json[256];
	struct answer a;
	struct client c;

	answer_init(&a);
	client_init(&c, signature_one(dtype, -1));
	snprintf(json, sizeof(json),
		 "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"%s\",\"shape\":[2],\"parameters\":{"
		 "\"binary_data_size\":%zu}}]}",
		 dtype_name(dtype), size);
	cr_assert_eq(client_send_binary(&c, json, bytes, size), 0, "%s", buffer_text(&c.r.error));
	buffer_puts(&a.json, "before");
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), (int)status);
	cr_expect_eq(c.r.status, status);
	cr_expect(says(&c, text), "%s", buffer_text(&c.r.error));
	cr_expect_eq(strncmp(a.json.data, "before{\"error\":\"", 15), 0, "%s", a.json.data);
	cr_expect_eq(a.json.data[a.json.size - 1], '}');
	cr_expect(a.n == 0 && !a.binary);
	buffer_fini(&a.json);
	client_fini(&c);
}

Test(response, that_json_cannot_say_asks_for_binary)
{
	float nan[] = { 1, NAN }, inf[] = { INFINITY, 1 };

	expect_unsayable(DEVSERVE_BYTES, "\1\0\0\0a\1\0\0\0\xff", 10, INFER_INVALID,
			 "output 'Y' has BYTES that are not UTF-8, which JSON cannot say. Please "
			 "use the binary data format");
	expect_unsayable(DEVSERVE_FP32, nan, 8, INFER_INVALID,
			 "output 'Y' has a NaN or an infinity, which JSON cannot say. Please use "
			 "the binary data format");
	expect_unsayable(DEVSERVE_FP32, inf, 8, INFER_INVALID,
			 "output 'Y' has a NaN or an infinity, which JSON cannot say. Please use "
			 "the binary data format");
}

Test(response, does_not_read_past_a_tensor_that_a_worker_spoilt)
{
	struct answer a;
	struct client c;

	for (uint32_t length = 1; length; length <<= 1) {
		char *bytes;

		answer_init(&a);
		client_init(&c, signature_one(DEVSERVE_BYTES, -1));
		cr_assert_eq(client_send_json(&c, "{\"inputs\":[{\"name\":\"X\",\"datatype\":"
						  "\"BYTES\",\"shape\":[1],\"data\":[\"a\"]}]}"),
			     0);
		for (size_t size = 1; size < 5; size++) {
			bytes = xmalloc(size);
			memcpy(bytes, &length, size < 4 ? size : 4);
			c.r.n_outputs = 1;
			c.r.outputs[0] = (struct tensor){ .dtype = DEVSERVE_BYTES,
							  .rank = 1,
							  .shape = { 1 },
							  .data = bytes,
							  .size = size };
			cr_expect_eq(infer_response_encode(&c.r, "m", &a.json, a.iov, &a.n,
							   &a.binary),
				     INFER_INTERNAL);
			cr_expect_str_eq(c.r.error.data,
					 "output 'Y' has a BYTES element that is cut");
			buffer_reset(&a.json);
			free(bytes);
		}
		buffer_fini(&a.json);
		client_fini(&c);
	}
}

Test(response, error_is_valid_json_whatever_the_sentence_is)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	infer_error_encode("a \"quoted\" \xff byte\n\0", 19, &b);
	cr_expect_str_eq(b.data, "{\"error\":\"a \\\"quoted\\\" \xef\xbf\xbd byte\\n\\u0000\"}");
	buffer_reset(&b);
	infer_error_encode("", 0, &b);
	cr_expect_str_eq(b.data, "{\"error\":\"\"}");
}

/* What goes out as JSON, asked with that JSON, comes back the same. */
Test(response, floats_survive_the_way_through_json)
{
	enum {
		N = 4096
	};
	static float x[N];
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	struct answer a;
	struct client c;
	uint32_t bits = 1;
	char head[128], *data;
	int size;

	answer_init(&a);
	for (int i = 0; i < N; i++) {
		do
			bits = bits * 1664525u + 1013904223u;
		while (((bits >> 23) & 0xff) == 0xff);
		memcpy(&x[i], &bits, 4);
	}
	client_init(&c, signature_one(DEVSERVE_FP32, -1));
	size = snprintf(head, sizeof(head),
			"{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[%d],"
			"\"parameters\":{\"binary_data_size\":%d}}]}",
			N, N * 4);
	cr_assert_gt(size, 0);
	cr_assert_eq(client_send_binary(&c, head, x, sizeof(x)), 0);
	cr_assert_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), 0);
	data = strstr(a.json.data, "\"data\":");
	a.json.data[a.json.size - 3] = '\0';
	buffer_printf(&json,
		      "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\",\"shape\":[%d],%s}]}", N,
		      data);
	client_reset(&c);
	cr_assert_eq(client_send_json(&c, json.data), 0, "%s", buffer_text(&c.r.error));
	cr_expect_eq(memcmp(c.r.inputs[0].data, x, sizeof(x)), 0);
	buffer_fini(&a.json);
	client_fini(&c);
}

Test(response, counts_large_json_as_long_as_the_request_lives)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct answer a;
	struct client c;

	buffer_puts(&b, "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP64\",\"shape\":[9000],\"data\":[0.1");
	for (int i = 1; i < 9000; i++)
		buffer_puts(&b, ",0.12345678901");
	buffer_puts(&b, "]}]}");
	answer_init(&a);
	client_init(&c, signature_one(DEVSERVE_FP64, -1));
	cr_assert_eq(client_send_json(&c, b.data), 0);
	cr_expect_eq(c.memory.charged, 0);
	cr_assert_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), 0);
	cr_expect_geq(c.memory.charged, a.json.size);
	client_reset(&c);
	cr_assert_eq(client_send_json(&c, b.data), 0);
	c.memory.full = true;
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), INFER_UNAVAILABLE);
	cr_expect(says(&c, "no memory for *"));
	client_fini(&c);
	buffer_fini(&a.json);
}

Test(response, counts_json_before_it_is_written)
{
	static const double numbers[1 << 20] = { 0 };
	struct answer a;
	struct client c;

	answer_init(&a);
	client_init(&c, signature_one(DEVSERVE_FP64, -1));
	cr_assert_eq(client_send_json(&c, input_x("FP64", "[1]", "\"data\":[1]")), 0);
	c.r.inputs[0].data = (void *)numbers;
	c.r.inputs[0].size = sizeof(numbers);
	c.r.inputs[0].shape[0] = 1 << 20;
	c.memory.charged = TEST_LIMIT - (1u << 20);
	cr_expect_eq(client_echo(&c, &a.json, a.iov, &a.n, &a.binary), INFER_UNAVAILABLE);
	cr_expect_lt(a.json.room, 2u << 20);
	cr_expect_eq(c.memory.charged, TEST_LIMIT - (1u << 20));
	c.memory.charged = 0;
	client_fini(&c);
	buffer_fini(&a.json);
}
