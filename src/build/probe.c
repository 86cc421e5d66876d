/* SPDX-License-Identifier: MIT */

/*
 * Three questions are asked with -###, which answers without compiling: what does `cc`
 * run for a C source, what does `c++` run for a C++ source, what does `cc` run to link. The
 * fourth is asked of devserve-cuda, where there is a toolkit and a GPU: what to compile for. The
 * answers are kept verbatim under a hash of the question and of the programs, so that a warm
 * start runs no compiler; they are read anew each time, which takes microseconds.
 */

#include "build/probe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "build/driver.h"
#include "build/job.h"
#include "build/program.h"
#include "build/store.h"
#include "build/toolchain.h"

enum { ASK_CC, ASK_CXX, ASK_LINK, ASK_DEVICE, N_QUESTIONS };

struct question {
	struct probing *probing;
	struct words command;
	struct hash key;
	struct job *job;
	struct buffer answer;
	bool changes; /* the answer may be another one tomorrow, and nothing would tell */
};

struct probing {
	struct toolchain *toolchain;
	struct store *store;
	struct question questions[N_QUESTIONS];
	unsigned n_open;
	probed_fn done;
	void *context;
};

static void free_probing(struct probing *p)
{
	for (int i = 0; i < N_QUESTIONS; i++) {
		words_fini(&p->questions[i].command);
		buffer_fini(&p->questions[i].answer);
	}
	free(p);
}

struct probing *probing_cancel(struct probing *p)
{
	if (!p)
		return NULL;
	for (int i = 0; i < N_QUESTIONS; i++)
		job_cancel(p->questions[i].job);
	free_probing(p);
	return NULL;
}

static void conclude(struct probing *p)
{
	const struct question *q = p->questions;

	toolchain_learn(p->toolchain, buffer_text(&q[ASK_CC].answer),
			buffer_text(&q[ASK_CXX].answer), buffer_text(&q[ASK_LINK].answer));
	toolchain_set_device(p->toolchain, buffer_text(&q[ASK_DEVICE].answer));
	p->done(p->context);
	free_probing(p);
}

static void on_answer(void *context, const struct job_end *end)
{
	struct question *q = context;

	q->job = NULL;
	buffer_puts(&q->answer, end->text);
	q->changes |= q == &q->probing->questions[ASK_DEVICE] && !end->ok;
	if (!end->error && !end->timed_out && !end->signal && !q->changes)
		store_write_note(q->probing->store, "toolchain", q->key, q->answer.data,
				 q->answer.size);
	if (--q->probing->n_open == 0)
		conclude(q->probing);
}

/* The flags are gcc's, who needs no driver afterwards; clang only says that it is clang. */
static void put_questions(struct probing *p)
{
	struct toolchain *t = p->toolchain;

	for (int i = ASK_CC; i <= ASK_CXX; i++) {
		struct words *command = &p->questions[i].command;

		words_add_all(command, i == ASK_CC ? &t->cc.command : &t->cxx.command);
		words_add_list(command, "-###", "-c", "-pipe", NULL);
		toolchain_gcc_flags(t, i == ASK_CXX, command);
		words_add(command, DRIVER_TELL_LOOPS);
		words_add_list(command, "-MD", "-MF", DRIVER_DEPENDS, "-o", DRIVER_OBJECT,
			       i == ASK_CC ? DRIVER_SOURCE ".c" : DRIVER_SOURCE ".cc", NULL);
	}
	words_add_all(&p->questions[ASK_LINK].command, &t->cc.command);
	words_add_list(&p->questions[ASK_LINK].command, "-###", "-shared", "-o", DRIVER_OBJECT,
		       "/dev/null", NULL);
	if (t->cuda.has_gpu && t->cuda.nvcc.command.n)
		words_add_list(&p->questions[ASK_DEVICE].command, t->cuda.helper, "device",
			       t->cuda.library ? t->cuda.library : "", NULL);
}

static struct hash key_of(const struct question *q, const struct toolchain *t)
{
	struct hash_state *s = hash_state_new();

	hash_state_add(s, &t->cc.identity, sizeof(t->cc.identity));
	hash_state_add(s, &t->cxx.identity, sizeof(t->cxx.identity));
	identity_add(s, t->cuda.library ? t->cuda.library : "");
	hash_state_add(s, &t->machine, sizeof(t->machine));
	identity_add(s, q->command.n ? q->command.at[0] : ""); /* devserve-cuda is none of the compilers */
	for (size_t i = 0; i < q->command.n; i++)
		hash_state_add_string(s, q->command.at[i]);
	return hash_state_end(s);
}

/* Whether the system tells of GPUs, so that the key has them. */
static bool knows_gpus(void)
{
	struct hash_state *s = hash_state_new();
	bool any = cuda_add_gpus(s);

	hash_state_end(s);
	return any;
}

static bool exists(const struct question *q)
{
	return q->command.n && strchr(q->command.at[0], '/');
}

void toolchain_probe(struct toolchain *t, struct store *s, struct queue *q, probed_fn done,
		     void *context, struct probing **ret)
{
	struct probing *p = xcalloc(1, sizeof(*p));

	p->toolchain = t;
	p->store = s;
	p->done = done;
	p->context = context;
	put_questions(p);
	p->n_open = 1;
	*ret = p;
	for (int i = 0; i < N_QUESTIONS; i++) {
		struct question *one = &p->questions[i];
		struct job_options o = { .command = &one->command, .at_once = true,
					 .time_limit_ms = 30000 };

		one->probing = p;
		one->key = key_of(one, t);
		one->changes = i == ASK_DEVICE && !knows_gpus();
		if (!exists(one) || (!one->changes &&
				     store_read_note(s, "toolchain", one->key, &one->answer) == 0))
			continue;
		p->n_open++;
		job_start(q, &o, on_answer, one, &one->job);
	}
	if (--p->n_open == 0) {
		*ret = NULL;
		conclude(p);
	}
}
