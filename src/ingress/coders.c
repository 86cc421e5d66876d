/* SPDX-License-Identifier: MIT */
#include "ingress/coders.h"

#include "ingress/pack.h"
#include "ingress/unpack.h"

void coders_fini(struct coders *c)
{
	while (c->n_unpackers)
		unpack_free(c->unpackers[--c->n_unpackers]);
	while (c->n_packers)
		pack_free(c->packers[--c->n_packers]);
}

struct unpack *coders_take_unpack(struct coders *c, enum coding coding)
{
	struct unpack *u;

	if (!c->n_unpackers)
		return unpack_new(coding);
	u = c->unpackers[--c->n_unpackers];
	unpack_reset(u, coding);
	return u;
}

struct unpack *coders_give_unpack(struct coders *c, struct unpack *u)
{
	if (u && c->n_unpackers < CODERS_KEPT)
		c->unpackers[c->n_unpackers++] = u;
	else
		unpack_free(u);
	return NULL;
}

/* One can't turn to another coding. */
struct pack *coders_take_pack(struct coders *c, enum coding coding)
{
	for (unsigned i = c->n_packers; i-- > 0;) {
		struct pack *p = c->packers[i];

		if (pack_coding(p) != coding)
			continue;
		c->packers[i] = c->packers[--c->n_packers];
		pack_reset(p);
		return p;
	}
	return pack_new(coding, c->level);
}

struct pack *coders_give_pack(struct coders *c, struct pack *p)
{
	if (p && c->n_packers < CODERS_KEPT)
		c->packers[c->n_packers++] = p;
	else
		pack_free(p);
	return NULL;
}
