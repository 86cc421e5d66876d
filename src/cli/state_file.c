/* SPDX-License-Identifier: MIT */
#include "cli/state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "state/value.h"

#define AT_ONCE (UINT64_C(16) << 20)

int state_file_open(const char *path, struct state_file *ret, struct buffer *why)
{
	char fault[128];
	int r = checkpoint_open(path, &ret->checkpoint, fault, sizeof(fault));

	if (r != 0) {
		ret->checkpoint.fd = -1;
		buffer_printf(why, "cannot read %s: %s", path, r < 0 ? strerror(-r) : fault);
		return r;
	}
	ret->layout = checkpoint_layout(&ret->checkpoint);
	if (ret->checkpoint.size > AT_ONCE)
		return 0;
	ret->bytes = xmalloc(ret->checkpoint.size);
	r = checkpoint_read(&ret->checkpoint, ret->bytes);
	if (r < 0)
		buffer_printf(why, "cannot read %s: %s", path, strerror(-r));
	return r;
}

void state_file_close(struct state_file *f)
{
	if (f->checkpoint.fd >= 0)
		checkpoint_close(&f->checkpoint);
	layout_unref(f->layout);
	free(f->bytes);
	*f = (struct state_file)STATE_FILE_NULL;
}

bool state_file_is_whole(const struct state_file *f)
{
	return checkpoint_is_newest(&f->checkpoint);
}

/* Values */

struct values {
	const struct state_file *file;
	const struct layout_member *member;
	uint64_t at_most;
	bool cut;
	struct buffer *json;
};

static void get(const struct state_file *f, uint64_t at, uint64_t size, void *ret)
{
	if (f->bytes)
		memcpy(ret, f->bytes + at, size);
	else if (checkpoint_read_part(&f->checkpoint, at, size, ret) != 0)
		memset(ret, 0, size); /* cut short: it isn't whole, and will be said not to be */
}

static void put_one(struct values *v, uint64_t i)
{
	_cleanup_buffer_ struct buffer value = BUFFER_NULL;
	uint64_t size, at = value_place(v->member, i, &size);
	_cleanup_free_ char *bytes = xmalloc(size);

	get(v->file, at, size, bytes);
	value_json(v->member, bytes, &value);
	json_raw(v->json, NULL, value.data);
}

static bool put_text(struct values *v, uint64_t i, uint64_t n)
{
	_cleanup_buffer_ struct buffer value = BUFFER_NULL;
	_cleanup_free_ char *bytes = xmalloc(n);
	uint64_t size;

	get(v->file, value_place(v->member, i, &size), n, bytes);
	if (!value_text(bytes, n, &value))
		return false;
	json_raw(v->json, NULL, value.data);
	return true;
}

/* The elements of extent @k and of those in it; @i: how many elements of all are before them. */
static void put_extent(struct values *v, unsigned k, uint64_t i)
{
	const struct layout_member *m = v->member;
	uint64_t n = k < m->n_extents ? m->extents[k].n : 1, shown = v->at_most && n > v->at_most ? v->at_most : n;

	if (k == m->n_extents) {
		put_one(v, i);
		return;
	}
	if (k + 1 == m->n_extents && value_is_text(m) && put_text(v, i * n, n))
		return;
	v->cut |= shown < n;
	json_array(v->json, NULL);
	for (uint64_t e = 0; e < shown; e++)
		put_extent(v, k + 1, i * n + e);
	json_array_end(v->json);
}

bool state_file_value(const struct state_file *f, const struct layout_member *m, uint64_t at_most, struct buffer *ret)
{
	struct values v = { .file = f, .member = m, .at_most = at_most, .json = ret };

	put_extent(&v, 0, 0);
	return !v.cut;
}
