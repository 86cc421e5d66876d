/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Fault
 *
 * The case that a new image failed in its trial, kept with that image for `devserve replay`.
 */

struct case_facts;
struct plugin;
struct proof_summary;

/*
 * @facts: of the image that failed. @proof->replay becomes the number it is kept under; it is written
 * later, and where that isn't possible the number leads nowhere.
 */
void fault_keep(const struct plugin *p, const struct case_facts *facts, struct proof_summary *proof);
