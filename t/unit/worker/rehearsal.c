/* SPDX-License-Identifier: MIT */
#include "worker/rehearsal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <devserve/deployment.h>

#include "base/memory.h"
#include "ring/link.h"
#include "worker/image.h"

/* The memory of recordings: a memfd, of which we map what the worker would. */
static char *memory;
static const char *seen;
static size_t seen_size;
static struct rehearsal *rehearsal;

static void set_up(void)
{
	char path[64];
	void *map;
	int fd;

	cr_assert_eq(link_memory("recordings", 1 << 20, &fd, &map), 0);
	memory = map;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
	cr_assert_eq(rehearsal_map(path, &seen, &seen_size), 0);
	rehearsal = rehearsal_new();
	rehearsal_attach(rehearsal, seen, seen_size);
}

TestSuite(rehearsal, .init = set_up);

/* A request X FP32[n] = 1, 2, … as the server keeps it. */
static const struct recording *record(int64_t n)
{
	struct recording *r = (struct recording *)(memory + 64);
	float *x = (float *)(memory + 4096);

	*r = (struct recording){ .id = 1, .batch = 1, .n_in = 1 };
	r->tensors[0] = (struct call_tensor){ .offset = 4096, .size = (uint64_t)n * 4, .shape = { n }, .rank = 1,
					      .dtype = DEVSERVE_FP32 };
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(i + 1);
	return (const struct recording *)(seen + 64);
}

static struct image image_of(const struct devserve_deployment *entry)
{
	return (struct image){ .entry = entry, .n_in = 1, .n_out = 1 };
}

static int twice(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = call->out[0].data;

	for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i++)
		y[i] = 2 * x[i];
	return 0;
}

static const struct devserve_deployment doubles = {
	.inputs = { { "X", DEVSERVE_FP32, { -1 } } },
	.outputs = { { "Y", DEVSERVE_FP32, { -1 } } },
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = twice,
};

Test(rehearsal, answers_as_a_call_would)
{
	struct image image = image_of(&doubles);

	for (int64_t n = 1; n <= 20000; n *= 10) { /* guarded, and in place */
		const float *y;

		cr_assert_eq(rehearsal_run(rehearsal, &image, record(n)), 0);
		y = rehearsal_output(rehearsal, 0);
		cr_expect_eq(rehearsal_call(rehearsal)->status, 0);
		cr_expect_eq(rehearsal_call(rehearsal)->tensors[1].size, (uint64_t)n * 4);
		cr_expect_eq(rehearsal_call(rehearsal)->tensors[1].shape[0], n);
		cr_expect_float_eq(y[0], 2, 0);
		cr_expect_float_eq(y[n - 1], 2 * (float)n, 0);
	}
}

static int every_second(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = devserve_make(call, 0, devserve_dim(&call->in[0], 0));

	for (size_t i = 0, n = devserve_count(&call->in[0]); i < n; i += 2)
		y[i] = x[i];
	return 0;
}

static const struct devserve_deployment forgetful = {
	.inputs = { { "X", DEVSERVE_FP32, { -1 } } },
	.outputs = { { "Y", DEVSERVE_FP32, { -1 } } },
	.infer = every_second,
};

Test(rehearsal, shows_what_infer_left_out)
{
	struct image image = image_of(&forgetful);

	rehearsal_poison(rehearsal, true);
	for (int64_t n = 4; n <= 40000; n *= 100) {
		const float *y;

		cr_assert_eq(rehearsal_run(rehearsal, &image, record(n)), 0);
		y = rehearsal_output(rehearsal, 0);
		cr_expect_float_eq(y[2], 3, 0);
		cr_expect(isnan(y[3]));
	}
}

static int say_no(const struct devserve_call *call)
{
	return devserve_refuse(call, "no more than %d", 3);
}

Test(rehearsal, keeps_what_infer_says)
{
	struct devserve_deployment entry = doubles;
	struct image image = image_of(&entry);

	entry.infer = say_no;
	cr_assert_eq(rehearsal_run(rehearsal, &image, record(4)), 0);
	cr_expect_eq(rehearsal_call(rehearsal)->status, -EINVAL);
	cr_expect_str_eq(rehearsal_call(rehearsal)->error, "no more than 3");
}

Test(rehearsal, does_not_run_what_the_image_does_not_declare)
{
	struct devserve_deployment entry = doubles;
	struct image image = image_of(&entry);

	entry.inputs[0].dtype = DEVSERVE_FP64;
	cr_expect_eq(rehearsal_run(rehearsal, &image, record(4)), REHEARSAL_E_FOREIGN);
	entry.inputs[0] = (struct devserve_port){ "X", DEVSERVE_FP32, { 5 } };
	cr_expect_eq(rehearsal_run(rehearsal, &image, record(4)), REHEARSAL_E_FOREIGN);
	cr_expect_eq(rehearsal_run(rehearsal, &image, record(5)), 0);
	entry.max_batch_size = 8;
	cr_expect_eq(rehearsal_run(rehearsal, &image, record(5)), REHEARSAL_E_FOREIGN, "a batch has a rank more");
	image.n_in = 2;
	cr_expect_eq(rehearsal_run(rehearsal, &image, record(5)), REHEARSAL_E_FOREIGN);
}

static int huge(const struct devserve_call *call)
{
	return devserve_make(call, 0, INT64_C(1) << 40) ? 0 : -ENOMEM;
}

Test(rehearsal, has_an_end_of_its_memory)
{
	struct devserve_deployment entry = forgetful;
	struct image image = image_of(&entry);

	entry.infer = huge;
	cr_assert_eq(rehearsal_run(rehearsal, &image, record(4)), 0);
	cr_expect_eq(rehearsal_call(rehearsal)->status, -ENOMEM);
}

static int two_words(const struct devserve_call *call)
{
	if (!devserve_make(call, 0, 2))
		return -ENOMEM;
	devserve_append(call, 0, "to", 2);
	return devserve_append(call, 0, "be", 2);
}

Test(rehearsal, collects_strings)
{
	struct devserve_deployment entry = forgetful;
	struct image image = image_of(&entry);

	entry.outputs[0].dtype = DEVSERVE_BYTES;
	entry.infer = two_words;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(rehearsal_run(rehearsal, &image, record(4)), 0);
		cr_expect_eq(rehearsal_call(rehearsal)->tensors[1].size, 12);
		cr_expect_arr_eq(rehearsal_output(rehearsal, 0), "\2\0\0\0to\2\0\0\0be", 12);
	}
}

static int written; /* errno */

/* As the kernel sees it: a sanitizer would end the process where a store faults. */
static int scribble(const struct devserve_call *call)
{
	int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	written = read(zeros, call->in[0].data, 1) < 0 ? errno : 0;
	close(zeros);
	return 0;
}

Test(rehearsal, has_recordings_that_cannot_be_written)
{
	struct devserve_deployment entry = doubles;
	struct image image = image_of(&entry);

	entry.infer = scribble;
	cr_assert_eq(rehearsal_run(rehearsal, &image, record(4)), 0);
	cr_expect_eq(written, EFAULT);
}

Test(rehearsal, maps_nothing_where_nothing_is)
{
	cr_expect_eq(rehearsal_map("/proc/self/fd/999", &seen, &seen_size), -ENOENT);
}
