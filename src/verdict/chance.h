/* SPDX-License-Identifier: MIT */
#pragma once

/* Random numbers that come again with the same seed (splitmix64). Not for secrets. */

#include <stdint.h>

struct chance {
	uint64_t state; /* the seed; any */
};

static inline uint64_t chance_next(struct chance *c)
{
	uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 … @n - 1. */
static inline unsigned chance_below(struct chance *c, unsigned n)
{
	return (unsigned)(((chance_next(c) >> 32) * n) >> 32);
}
