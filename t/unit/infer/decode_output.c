/* SPDX-License-Identifier: MIT */
#include "infer/decoder.h"

#include "infer/dtype.h"
#include "support.h"

Test(decode_output, refuses_16_bit_outputs_as_json_before_anything_is_computed)
{
	static const uint32_t dtypes[] = { DEVSERVE_FP16, DEVSERVE_BF16 };
	static const struct {
		const char *rest;
		bool good;
	} all[] = {
		{ "", false },
		{ ",\"outputs\":[]", false },
		{ ",\"outputs\":[{\"name\":\"Y\"}]", false },
		{ ",\"outputs\":[{\"name\":\"Z\"}]", true },
		{ ",\"outputs\":[{\"name\":\"Y\",\"parameters\":{\"binary_data\":true}}]", true },
		{ ",\"parameters\":{\"binary_data_output\":true}", true },
		{ ",\"parameters\":{\"binary_data_output\":true},"
		  "\"outputs\":[{\"name\":\"Y\",\"parameters\":{\"binary_data\":false}}]",
		  false },
	};
	char json[512], text[128];

	for (size_t i = 0; i < ARRAY_SIZE(dtypes) * ARRAY_SIZE(all); i++) {
		uint32_t dtype = dtypes[i % ARRAY_SIZE(dtypes)];
		size_t k = i / ARRAY_SIZE(dtypes);
		struct client c;
		int e;

		client_init(&c, signature_of(0, PORTS({ "X", DEVSERVE_INT32, { 1 } }),
					     PORTS({ "Z", DEVSERVE_INT32, { 1 } },
						   { "Y", dtype, { 1 } })));
		snprintf(json, sizeof(json),
			 "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],"
			 "\"data\":[1]}]%s}",
			 all[k].rest);
		snprintf(text, sizeof(text),
			 "sending %s data via JSON is not supported. Please use the binary data "
			 "format for output Y",
			 dtype_name(dtype));
		e = client_send_json(&c, json);
		if (all[k].good)
			cr_expect_eq(e, 0, "%s: %s", json, buffer_text(&c.r.error));
		else
			expect_refused(&c, e, INFER_INVALID, text);
		cr_expect_eq(c.memory.n_reserved, all[k].good);
		client_fini(&c);
	}
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

Test(decode_output, wants_the_outputs_that_were_asked_for)
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

Test(decode_output, ignores_what_it_does_not_know)
{
	expect_wanted(",\"parameters\":{\"sequence_id\":0,\"priority\":1,\"mine\":\"x\",\"ratio\":"
		      "0.5,\"on\":true}",
		      "01", "jj");
	expect_wanted(",\"future\":{\"a\":[null]}", "01", "jj");
	expect_wanted(
		",\"outputs\":[{\"name\":\"OUTPUT0\",\"future\":1,\"parameters\":{\"mine\":1}}]",
		"0", "j");
}
