/* SPDX-License-Identifier: MIT */
#include "worker/judge.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include <devserve/deployment.h>

#include "base/memory.h"
#include "ring/recording.h"
#include "worker/image.h"
#include "worker/rehearsal.h"

#define BYTES "\2\0\0\0ab\1\0\0\0c"

/* What the new code answers, and what was answered. */
static struct answer {
	uint32_t dtype;
	int64_t n;
	const void *data;
	size_t size;
	int status;
} is, was;

static int infer(const struct devserve_call *call)
{
	void *y;

	if (is.status)
		return devserve_fail(call, "it can't");
	y = devserve_make(call, 0, is.n);
	if (is.dtype == DEVSERVE_BYTES) {
		devserve_append(call, 0, "ab", 2);
		return devserve_append(call, 0, is.data, strlen(is.data));
	}
	if (is.data)
		memcpy(y, is.data, is.size);
	return 0;
}

static char memory[4096] __attribute__((aligned(64)));

static const struct recording *record(void)
{
	struct recording *r = (struct recording *)memory;

	*r = (struct recording){ .batch = 1, .n_in = 1, .n_out = 1 };
	r->tensors[0] = (struct call_tensor){ .offset = 1024, .size = 4, .shape = { 1 }, .rank = 1,
					      .dtype = DEVSERVE_INT32 };
	r->tensors[1] = (struct call_tensor){ .offset = 2048, .size = was.size, .shape = { was.n }, .rank = 1,
					      .dtype = was.dtype };
	memcpy(memory + 2048, was.data, was.size);
	return r;
}

static struct proof_fault fault;
static struct proof_report report;

static enum proof_outcome judge_with(uint32_t expected, bool by_shape)
{
	static const struct proof_tolerance usual[1] = { { -1, -1 } };
	struct devserve_deployment entry = {
		.inputs = { { "X", DEVSERVE_INT32, { 1 } } },
		.outputs = { { "Y", is.dtype, { -1 } } },
		.infer = infer,
	};
	struct image image = { .entry = &entry, .n_in = 1, .n_out = 1 };
	const struct recording *r = record();
	struct rehearsal *rehearsal = rehearsal_new();
	struct judge j = { .image = &image, .recording = r, .base = memory, .rehearsal = rehearsal,
			   .tolerances = usual, .expected = expected, .by_shape = by_shape };
	enum proof_outcome outcome;

	fault = (struct proof_fault){ .n = 0 };
	report = (struct proof_report){ .took_ns = 0 };
	rehearsal_attach(rehearsal, memory, sizeof(memory));
	rehearsal_poison(rehearsal, true);
	cr_assert_eq(rehearsal_run(rehearsal, &image, r), 0);
	outcome = judge_answer(&j, &report, &fault);
	rehearsal_free(rehearsal);
	return outcome;
}

static enum proof_outcome judge(void)
{
	return judge_with(1, false);
}

static struct answer floats(const float *data, int64_t n)
{
	return (struct answer){ DEVSERVE_FP32, n, data, (size_t)n * sizeof(*data), 0 };
}

Test(judge, lets_the_same_pass_and_what_is_close)
{
	const float expected[] = { 1, NAN, INFINITY }, close[] = { nextafterf(1, 2), NAN, INFINITY };

	was = floats(expected, 3);
	is = floats(close, 3);
	cr_expect_eq(judge(), PROOF_AGREES);
	cr_expect_eq(report.max_ulp, 1);
	cr_expect_gt(report.max_abs, 0);
}

Test(judge, names_the_element_what_it_is_and_was)
{
	const float expected[] = { 1, 2, 3 }, wrong[] = { 1, 2, 4 };

	was = floats(expected, 3);
	is = floats(wrong, 3);
	cr_expect_eq(judge(), PROOF_DIFFERS);
	cr_expect_str_eq(fault.output, "Y");
	cr_expect_str_eq(fault.place, "[2]");
	cr_expect_str_eq(fault.expected, "3");
	cr_expect_str_eq(fault.got, "4");
	cr_expect_eq(fault.n_beyond, 1);
	cr_expect(strncmp(fault.sentence, "Y[2] is 4 and was 3; 1 of 3 elements (33 %) differs, at most by 1", 64) == 0, "%s",
		  fault.sentence);
}

Test(judge, tells_what_was_never_written_from_what_became_nan)
{
	const float expected[] = { 1, 2 }, nan[] = { 1, NAN };

	was = floats(expected, 2);
	is = floats(nan, 2);
	cr_expect_eq(judge(), PROOF_NAN);
	cr_expect_null(strstr(fault.sentence, "unwritten"));
	is.data = NULL;
	cr_expect_eq(judge(), PROOF_NAN);
	cr_expect_not_null(strstr(fault.sentence, "infer() left it unwritten"));
}

Test(judge, calls_another_shape_that_nobody_filled_no_answer)
{
	const float three[] = { 1, 2, 3 };

	was = floats(three, 3);
	is = floats(three, 2);
	is.size = sizeof(float);
	cr_expect_eq(judge(), PROOF_NAN);
	cr_expect_str_eq(fault.sentence, "Y is FP32[2] and was FP32[3]; Y[1] was left unwritten by infer()");
}

Test(judge, gives_no_distances_where_all_that_differs_is_nan)
{
	const float expected[] = { 1, 2 }, nan[] = { 1, NAN };

	was = floats(expected, 2);
	is = floats(nan, 2);
	cr_expect_eq(judge(), PROOF_NAN);
	cr_expect_str_eq(fault.sentence, "Y[1] is nan and was 2; 1 of 2 elements (50 %) differs");
}

Test(judge, blames_another_shape_where_the_declaration_allows_the_old_one)
{
	const float three[] = { 1, 2, 3 };

	was = floats(three, 3);
	is = floats(three, 2);
	cr_expect_eq(judge(), PROOF_SHAPE);
	cr_expect_str_eq(fault.sentence, "Y is FP32[2] and was FP32[3]");
}

Test(judge, compares_nothing_with_another_datatype)
{
	const float one[] = { 1 };
	const double also_one[] = { 1 };

	was = floats(one, 1);
	is = (struct answer){ DEVSERVE_FP64, 1, also_one, sizeof(also_one), 0 };
	cr_expect_eq(judge(), PROOF_UNCOMPARED);
}

Test(judge, wants_strings_to_be_equal)
{
	was = (struct answer){ DEVSERVE_BYTES, 2, BYTES, sizeof(BYTES) - 1, 0 };
	is = (struct answer){ DEVSERVE_BYTES, 2, "c", 0, 0 };
	cr_expect_eq(judge(), PROOF_AGREES);
	is.data = "d";
	cr_expect_eq(judge(), PROOF_DIFFERS);
	cr_expect(strncmp(fault.sentence, "Y[1] is \"d\" and was \"c\"", 23) == 0, "%s", fault.sentence);
}

Test(judge, says_of_a_string_that_is_cut_off_that_it_is)
{
	was = (struct answer){ DEVSERVE_BYTES, 2, BYTES, sizeof(BYTES) - 2, 0 };
	is = (struct answer){ DEVSERVE_BYTES, 2, "c", 0, 0 };
	cr_expect_eq(judge(), PROOF_DIFFERS);
	cr_expect(strncmp(fault.sentence, "Y[1] is \"c\" and was no whole string", 35) == 0, "%s", fault.sentence);
}

Test(judge, blames_an_error_where_there_was_an_answer)
{
	const float one[] = { 1 };

	was = floats(one, 1);
	is = was;
	is.status = -1;
	cr_expect_eq(judge(), PROOF_REFUSED);
	cr_expect_str_eq(fault.sentence, "infer() returned EIO: it can't; it answered before");
}

Test(judge, passes_over_outputs_that_nobody_expects_anything_of)
{
	const float one[] = { 1 }, two[] = { 2 };

	was = floats(one, 1);
	is = floats(two, 1);
	cr_expect_eq(judge_with(0, false), PROOF_UNCOMPARED);
}

Test(judge, sees_nothing_but_nan_where_the_state_has_moved_on)
{
	const float one[] = { 1 }, two[] = { 2, 3 }, nan[] = { NAN };

	was = floats(one, 1);
	is = floats(two, 1);
	cr_expect_eq(judge_with(1, true), PROOF_UNCOMPARED);
	is = floats(two, 2);
	cr_expect_eq(judge_with(1, true), PROOF_UNCOMPARED, "nor another shape");
	is.status = -1;
	cr_expect_eq(judge_with(1, true), PROOF_UNCOMPARED, "nor a refusal");
	is = floats(nan, 1);
	cr_expect_eq(judge_with(1, true), PROOF_NAN);
	was = floats(nan, 1);
	cr_expect_eq(judge_with(1, true), PROOF_UNCOMPARED, "which was one before");
}
