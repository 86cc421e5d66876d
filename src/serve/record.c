/* SPDX-License-Identifier: MIT */
#include "serve/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

static char *path_of(const char *state_dir, const char *name)
{
	return xasprintf("%s/deployments/%s", state_dir, name);
}

/* The word after "\nKEY ", or "". */
static const char *value_of(const struct buffer *text, const char *key)
{
	const char *at = strstr(buffer_text(text), key);

	return at ? at + strlen(key) : "";
}

/* Zero where it is missing or no hash. */
static struct hash hash_of(const struct buffer *text, const char *key)
{
	char word[HASH_TEXT_SIZE];
	struct hash h;

	if (sscanf(value_of(text, key), "%32[0-9a-f]", word) == 1 && hash_from_text(word, &h))
		return h;
	return (struct hash){ .high = 0 };
}

static void put_hash(struct buffer *text, const char *key, struct hash h)
{
	char word[HASH_TEXT_SIZE];

	if (hash_is_zero(h))
		return;
	hash_text(h, word);
	buffer_printf(text, "%s %s\n", key, word);
}

void record_read(const char *state_dir, const char *name, struct record *ret)
{
	_cleanup_free_ char *path = path_of(state_dir, name);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct record r = { .generation = 0 };
	char source[HASH_TEXT_SIZE];

	if (file_read(path, &text) < 0 ||
	    sscanf(buffer_text(&text), "generation %" SCNu32 "\nsource %32[0-9a-f]", &r.generation, source) != 2 ||
	    !hash_from_text(source, &r.source))
		r = (struct record){ .generation = 0 };
	if (sscanf(value_of(&text, "\nlast "), "%" SCNu32, &r.last) != 1 || r.last < r.generation)
		r.last = r.generation;
	r.image = hash_of(&text, "\nimage ");
	r.device = hash_of(&text, "\ndevice ");
	r.coming = hash_of(&text, "\ncoming ");
	r.crashed = hash_of(&text, "\ncrashed ");
	r.aside = hash_of(&text, "\naside ");
	*ret = r;
}

int record_write(const char *state_dir, const char *name, const struct record *r)
{
	_cleanup_free_ char *directory = path_join(state_dir, "deployments");
	_cleanup_free_ char *path = path_of(state_dir, name);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	char source[HASH_TEXT_SIZE];
	int e = file_make_directories_from(state_dir, directory);

	if (e < 0)
		return e;
	hash_text(r->source, source);
	buffer_printf(&text, "generation %" PRIu32 "\nsource %s\nlast %" PRIu32 "\n", r->generation, source, r->last);
	put_hash(&text, "image", r->image);
	put_hash(&text, "device", r->device);
	put_hash(&text, "coming", r->coming);
	put_hash(&text, "crashed", r->crashed);
	put_hash(&text, "aside", r->aside);
	return file_write(path, text.data, text.size, 0644);
}
