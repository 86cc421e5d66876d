/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Proof, for people and programs
 *
 * What a trial's golden cases and recorded requests came to (deploy/proof.h).
 */

#include <stdint.h>

struct buffer;
struct event;
struct proof_summary;
struct style;

/* "differs"; of an enum proof_outcome. */
const char *proof_outcome_name(uint32_t outcome);

/* As a member "proof" of the object that is open. NULL: nothing. */
void proof_json(struct buffer *b, const struct proof_summary *p);

/* For the line of a save: "  same answers (3 golden, 12 requests)"; nothing where there were none. */
void proof_text_put(const struct style *s, struct buffer *b, const struct proof_summary *p);

/* Below a trial that failed: what may be done about it. */
void proof_text_advice(const struct style *s, struct buffer *b, const struct event *e);
