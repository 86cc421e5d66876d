/* SPDX-License-Identifier: MIT */
#include "infer/signature.h"

#include "base/buffer.h"
#include "support.h"

Test(signature, is_freed_with_its_last_reference)
{
	struct signature *s = signature_simple();

	cr_expect_eq(signature_ref(s), s);
	cr_expect_eq(s->n_refs, 2);
	cr_expect_null(signature_unref(s));
	cr_expect_eq(s->n_refs, 1);
	cr_expect_null(signature_unref(s));
	cr_expect_null(signature_unref(NULL));
}

Test(signature, equals_one_that_clients_cannot_tell_apart)
{
	struct signature *a = signature_simple(), *b = signature_simple();

	b->max_queue_delay_us = 100;
	b->description = xstrdup("another text");
	cr_expect(signature_equal(a, b));
	signature_unref(a);
	signature_unref(b);
}

Test(signature, differs_in_name_datatype_shape_number_and_batching)
{
	struct signature *simple = signature_simple(), *other;
	struct signature *others[] = {
		signature_of(8,
			     PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				   { "INPUT2", DEVSERVE_INT32, { 16 } }),
			     PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
				   { "OUTPUT1", DEVSERVE_INT32, { 16 } })),
		signature_of(8,
			     PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				   { "INPUT1", DEVSERVE_INT8, { 16 } }),
			     PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
				   { "OUTPUT1", DEVSERVE_INT32, { 16 } })),
		signature_of(8,
			     PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				   { "INPUT1", DEVSERVE_INT32, { 16 } }),
			     PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
				   { "OUTPUT1", DEVSERVE_INT32, { -1 } })),
		signature_of(8,
			     PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				   { "INPUT1", DEVSERVE_INT32, { 16, 1 } }),
			     PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
				   { "OUTPUT1", DEVSERVE_INT32, { 16 } })),
		signature_of(8,
			     PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
				   { "INPUT1", DEVSERVE_INT32, { 16 } }),
			     PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } })),
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		cr_expect_not(signature_equal(simple, others[i]), "%zu", i);
		cr_expect_not(signature_equal(others[i], simple), "%zu", i);
		signature_unref(others[i]);
	}
	other = signature_simple();
	other->max_batch_size = 0;
	cr_expect_not(signature_equal(simple, other));
	signature_unref(other);
	signature_unref(simple);
}

static const char *changes(struct signature *from, struct signature *to)
{
	static struct buffer b;

	buffer_reset(&b);
	signature_changes(from, to, &b);
	return buffer_text(&b);
}

Test(signature, says_what_is_other_than_before)
{
	struct signature *simple = signature_simple(), *same = signature_simple();
	struct signature *other = signature_of(8,
					       PORTS({ "INPUT0", DEVSERVE_INT32, { 16 } },
						     { "MASK", DEVSERVE_BOOL, { -1, 2 } }),
					       PORTS({ "OUTPUT0", DEVSERVE_FP32, { 16 } },
						     { "OUTPUT1", DEVSERVE_INT32, { 16 } }));
	struct signature *turned = signature_of(8,
						PORTS({ "INPUT1", DEVSERVE_INT32, { 16 } },
						      { "INPUT0", DEVSERVE_INT32, { 16 } }),
						PORTS({ "OUTPUT0", DEVSERVE_INT32, { 16 } },
						      { "OUTPUT1", DEVSERVE_INT32, { 16 } }));

	cr_expect_str_eq(changes(simple, same), "");
	cr_expect_str_eq(changes(simple, other), "input MASK is BOOL[-1,2], and new; input INPUT1 is gone; "
						 "output OUTPUT0 is FP32[16], was INT32[16]");
	cr_expect_str_eq(changes(simple, turned), "its tensors come in another order");
	same->max_batch_size = 0;
	cr_expect_str_eq(changes(simple, same), "batches of at most 0, were 8 (0: no batch extent)");
	signature_unref(simple);
	signature_unref(same);
	signature_unref(other);
	signature_unref(turned);
}

Test(signature, metadata_has_the_batch_in_front_where_there_is_one)
{
	struct signature *s = signature_simple();
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	signature_metadata(s, "simple", &b);
	cr_expect_str_eq(
		b.data,
		"{\"name\":\"simple\",\"versions\":[\"1\"],\"platform\":\"devserve\",\"inputs\":["
		"{\"name\":\"INPUT0\",\"datatype\":\"INT32\",\"shape\":[-1,16]},"
		"{\"name\":\"INPUT1\",\"datatype\":\"INT32\",\"shape\":[-1,16]}],\"outputs\":["
		"{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[-1,16]},"
		"{\"name\":\"OUTPUT1\",\"datatype\":\"INT32\",\"shape\":[-1,16]}]}");
	signature_unref(s);
}

Test(signature, metadata_is_valid_json_whatever_the_names_are)
{
	struct signature *s = signature_one(DEVSERVE_BYTES, -1);
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	free(s->inputs[0].name);
	s->inputs[0].name = xstrdup("a\"b");
	signature_metadata(s, "back\\slash", &b);
	cr_expect_str_eq(
		b.data,
		"{\"name\":\"back\\\\slash\",\"versions\":[\"1\"],\"platform\":\"devserve\","
		"\"inputs\":[{\"name\":\"a\\\"b\",\"datatype\":\"BYTES\",\"shape\":[-1]}],"
		"\"outputs\":[{\"name\":\"Y\",\"datatype\":\"BYTES\",\"shape\":[-1]}]}");
	signature_unref(s);
}

Test(signature, equality_does_not_look_at_the_state)
{
	struct signature *a = signature_simple(), *b = signature_simple();

	b->state.size = 8;
	b->state.version = 3;
	cr_expect(signature_equal(a, b));
	signature_unref(a);
	signature_unref(b);
}
