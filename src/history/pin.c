/* SPDX-License-Identifier: MIT */
#include "history/pin.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "history/database.h"
#include "history/kept.h"

static uint32_t served_last(struct database *d, const char *deployment)
{
	sqlite3_stmt *s = database_ask(d, "SELECT generation FROM serving WHERE deployment = ? ORDER BY id DESC LIMIT 1",
				       "s", deployment);
	uint32_t generation = database_row(s) ? (uint32_t)sqlite3_column_int64(s, 0) : 0;

	database_done(d, s);
	return generation;
}

/* What the bounds have dropped already can't be kept. */
static int check(struct database *d, const char *state_dir, const char *deployment, uint32_t generation, bool pinned,
		 struct buffer *why)
{
	sqlite3_stmt *s = database_ask(d, "SELECT image FROM generation WHERE deployment = ? AND number = ?", "si",
				       deployment, (int64_t)generation);
	bool known = database_row(s);
	struct hash image;

	if (!known && !generation)
		buffer_printf(why, "nothing is known of a deployment '%s'", deployment);
	else if (!known)
		buffer_printf(why, "there is no generation %" PRIu32 " of %s; 'devserve history %s' lists them", generation,
			      deployment, deployment);
	else if (pinned && (!hash_from_text(database_text(s, 0), &image) || kept_check(state_dir, image, KEPT_IMAGE) < 0))
		buffer_printf(why, "the image of generation %" PRIu32 " isn't kept any more", generation);
	database_done(d, s);
	return why->size ? DATABASE_MISSING : DATABASE_OK;
}

static int set(struct database *d, const char *deployment, uint32_t generation, bool pinned, struct buffer *why)
{
	int r = database_run(d, "UPDATE generation SET pinned = ? WHERE deployment = ? AND number = ?", "isi",
			     (int64_t)pinned, deployment, (int64_t)generation);

	if (r != DATABASE_OK)
		database_explain(d, why);
	return r;
}

int history_pin(const char *state_dir, const char *deployment, uint32_t generation, bool pinned, uint32_t *ret,
		struct buffer *why)
{
	_cleanup_free_ char *path = path_join(state_dir, "history.db");
	struct database d;
	int r;

	if (!file_exists(path)) {
		buffer_printf(why, "there is no history yet: there is no %s", path);
		return DATABASE_MISSING;
	}
	r = database_open_to_write(&d, path, why);
	if (r != DATABASE_OK)
		return r;
	*ret = generation ? generation : served_last(&d, deployment);
	r = check(&d, state_dir, deployment, *ret, pinned, why);
	if (r == DATABASE_OK)
		r = set(&d, deployment, *ret, pinned, why);
	database_close(&d);
	return r;
}
