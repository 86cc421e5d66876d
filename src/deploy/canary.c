/* SPDX-License-Identifier: MIT */

/*
 * Canary
 *
 * Which requests are the canary's: the n-th if n times the golden ratio, of which only what is
 * behind the point counts, is less than its share. That is decided by counting alone, so that the
 * same sequence is parted in the same way each time; of any hundred requests in a row it gets its
 * share give or take three; and it falls into step with no client, as "every tenth" would with one
 * that sends ten different requests in turn.
 *
 * It must not make its clients wait: one that is behind gets less than its share.
 */

#include "deploy/internal.h"

#define GOLDEN UINT32_C(2654435769) /* 2^32 / golden ratio */
#define MAX_BEHIND 16 /* requests that may wait for it beyond those that wait for the others */

bool canary_takes(struct deployment *d)
{
	struct companion *c = &d->companion;

	if (c->kind != COMPANION_CANARY || !c->serves)
		return false;
	if ((double)((uint32_t)++c->n_offered * GOLDEN) >= c->share * 4294967296.0)
		return false;
	if (c->n_waiting < d->n_waiting + MAX_BEHIND)
		return true;
	c->n_diverted++;
	return false;
}

void canary_enqueue(struct deployment *d, struct waiting *w)
{
	struct companion *c = &d->companion;

	w->place = WAITING_FOR_CANARY;
	TAILQ_INSERT_TAIL(&c->queue, w, entry);
	c->n_waiting++;
}
