/* SPDX-License-Identifier: MIT */
#include "worker/replay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "array/array.h"
#include "array/case.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "infer/dtype.h"
#include "ring/link.h"
#include "worker/crash.h"
#include "worker/image.h"
#include "worker/rehearsal.h"
#include "worker/state.h"

struct replay {
	const char *directory, *got;
	struct link_load load;
	unsigned flags;
	struct image image;
	struct array inputs[DEVSERVE_MAX_TENSORS];
	struct rehearsal *rehearsal;
};

/* For debuggers, also where the program has no symbols but those that it exports. */
#pragma GCC visibility push(default)
extern void *volatile devserve_replay_infer;
void *volatile devserve_replay_infer;
void devserve_replay_begin(void);

__attribute__((noinline)) void devserve_replay_begin(void)
{
	__asm__ volatile("" ::: "memory");
}
#pragma GCC visibility pop

static int say(const char *sentence)
{
	fprintf(stderr, "%s\n", sentence);
	return 1;
}

/* What is asked for */

static bool take(const char *word, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);

	if (strncmp(word, key, n) != 0)
		return false;
	snprintf(ret, size, "%s", word + n);
	return true;
}

static bool take_word(struct replay *r, const char *word)
{
	if (strcmp(word, "cuda=1") == 0) {
		r->flags |= LINK_CUDA;
		return true;
	}
	if (strcmp(word, "link=yes") == 0)
		return true; /* main.c has seen it */
	if (strncmp(word, "got=", 4) == 0) {
		r->got = word + 4;
		return true;
	}
	return take(word, "image=", r->load.image, sizeof(r->load.image)) ||
	       take(word, "weights=", r->load.weights, sizeof(r->load.weights)) ||
	       take(word, "device=", r->load.device, sizeof(r->load.device)) ||
	       take(word, "state=", r->load.state, sizeof(r->load.state));
}

/* The case as a recording */

static int read_inputs(struct replay *r)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	for (uint32_t i = 0; i < r->image.n_in; i++) {
		const struct devserve_port *port = &r->image.entry->inputs[i];
		struct array *a = &r->inputs[i];

		a->name = xstrdup(port->name);
		if (case_read(r->directory, CASE_IN, port->dtype, a, &why) < 0)
			return say(buffer_text(&why));
	}
	return 0;
}

static uint64_t align(uint64_t n)
{
	return (n + 63) & ~UINT64_C(63);
}

/* NULL: no memory. */
static char *lay_out(const struct replay *r, size_t *ret_size)
{
	uint64_t at = align(sizeof(struct recording) + r->image.n_in * sizeof(struct call_tensor)), size = at;
	struct recording *to;
	char *base;

	for (uint32_t i = 0; i < r->image.n_in; i++)
		size += align(r->inputs[i].size);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	to = (struct recording *)base;
	*to = (struct recording){ .batch = 1, .n_in = r->image.n_in };
	if (r->image.entry->max_batch_size && r->image.n_in && r->inputs[0].rank)
		to->batch = (uint32_t)r->inputs[0].shape[0];
	for (uint32_t i = 0; i < r->image.n_in; i++) {
		const struct array *a = &r->inputs[i];

		to->tensors[i] = (struct call_tensor){ .offset = at, .size = a->size, .rank = a->rank,
						       .dtype = a->dtype };
		memcpy(to->tensors[i].shape, a->shape, sizeof(a->shape));
		memcpy(base + at, a->data, a->size);
		at += align(a->size);
	}
	mprotect(base, size, PROT_READ);
	*ret_size = size;
	return base;
}

/* What came of it */

static void put_result(const struct image *image, const struct call *call, struct buffer *json)
{
	json_object(json, NULL);
	json_int(json, "status", call->status);
	json_string_n(json, "error", call->error, call->error_size);
	json_uint(json, "compute_ns", call->compute_ns);
	json_array(json, "outputs");
	for (uint32_t i = 0; i < call->n_out; i++) {
		json_object(json, NULL);
		json_string(json, "name", image->entry->outputs[i].name);
		json_string(json, "datatype", dtype_name(image->entry->outputs[i].dtype));
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
	buffer_putc(json, '\n');
}

static int write_result(const struct replay *r)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL, why = BUFFER_NULL;
	_cleanup_free_ char *path = path_join(r->got, "result.json");
	const struct call *call = rehearsal_call(r->rehearsal);
	struct array out[DEVSERVE_MAX_TENSORS];

	for (uint32_t i = 0; i < call->n_out; i++) {
		const struct call_tensor *t = &call->tensors[call->n_in + i];

		out[i] = (struct array){ .name = (char *)r->image.entry->outputs[i].name, .dtype = t->dtype,
					 .rank = t->rank, .size = t->size,
					 .data = (void *)(uintptr_t)rehearsal_output(r->rehearsal, i) };
		memcpy(out[i].shape, t->shape, sizeof(t->shape));
	}
	put_result(&r->image, call, &json);
	if (case_fill(r->got, NULL, 0, out, call->status == 0 ? call->n_out : 0, NULL, &why) < 0)
		return say(buffer_text(&why));
	if (file_write(path, json.data, json.size, 0666) < 0)
		return say("the result cannot be written");
	return 0;
}

static int run_case(struct replay *r)
{
	size_t size;
	char *base = lay_out(r, &size);

	r->rehearsal = rehearsal_new();
	if (!base || !r->rehearsal)
		return say("no memory for the case");
	rehearsal_attach(r->rehearsal, base, size);
	rehearsal_poison(r->rehearsal, true); /* as in a trial: what was refused for it is refused again */
	memcpy((void *)&devserve_replay_infer, &r->image.entry->infer, sizeof(devserve_replay_infer));
	devserve_replay_begin();
	if (rehearsal_run(r->rehearsal, &r->image, (const struct recording *)base) != 0)
		return say(rehearsal_call(r->rehearsal)->error);
	return r->got ? write_result(r) : 0;
}

int replay_run(int argc, char **argv)
{
	static struct replay r;
	static char sentence[1024];
	int e;

	for (int i = 1; i < argc; i++)
		if (!take_word(&r, argv[i]))
			return say("devserve-worker: started by hand? 'devserve replay' does that");
	if (argc < 1 || !r.load.image[0])
		return say("devserve-worker: which case, on which image?");
	r.directory = argv[0];
	e = image_open(&r.image, &r.load, r.flags, NULL, sentence, sizeof(sentence));
	if (e == 0)
		e = state_try(&r.image, r.load.state, sentence, sizeof(sentence));
	if (e != 0)
		return say(sentence[0] ? sentence : strerror(e));
	e = read_inputs(&r);
	return e == 0 ? run_case(&r) : e;
}
