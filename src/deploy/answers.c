/* SPDX-License-Identifier: MIT */

/*
 * Answers
 *
 * A generation that was proved by recordings answers as the one before it did; one that was swapped in
 * otherwise (accepted, with other weights, below the gate) has answers of its own. What was recorded is
 * held against a new image only where it was answered as what serves now would answer. So after a rollback
 * the answers of the generation that serves again count once more, and those of the one that it took the
 * place of don't.
 *
 * Generations are told apart by a number that those which answer alike share. Eight bytes a save, until the
 * deployment goes.
 */

#include <stdlib.h>

#include "base/memory.h"
#include "deploy/internal.h"

/* 0: it never served. */
static uint32_t answers_of(const struct deployment *d, uint32_t generation)
{
	for (size_t i = d->n_answers; i-- > 0;)
		if (d->answers[i].generation == generation)
			return d->answers[i].number;
	return 0;
}

static void set(struct deployment *d, uint32_t generation, uint32_t number)
{
	for (size_t i = 0; i < d->n_answers; i++) {
		if (d->answers[i].generation == generation) {
			d->answers[i].number = number;
			return;
		}
	}
	d->answers = xrealloc(d->answers, (d->n_answers + 1) * sizeof(*d->answers));
	d->answers[d->n_answers++] = (struct answers){ generation, number };
}

void answers_follow(struct deployment *d, uint32_t generation, uint32_t before)
{
	uint32_t number = answers_of(d, before);

	set(d, generation, number ? number : ++d->last_answers);
}

void answers_differ(struct deployment *d, uint32_t generation)
{
	set(d, generation, ++d->last_answers);
}

bool answers_are_known(const struct deployment *d, uint32_t generation)
{
	return answers_of(d, generation) != 0;
}

bool deployment_answers_as(const struct deployment *d, uint32_t generation)
{
	uint32_t number = answers_of(d, d->current.generation);

	return number && answers_of(d, generation) == number;
}
