/* SPDX-License-Identifier: MIT */
#pragma once

/* What becomes of an entry in the database, within a transaction; and which files are kept beside it. */

#include <stdint.h>

struct database;
struct history_entry;

/* A result of history/database.h. */
int writing_record(struct database *d, int64_t session, const char *state_dir, const struct history_entry *e);
