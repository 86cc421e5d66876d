/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

static struct hash from_xxh(XXH128_hash_t h)
{
	return (struct hash){ .high = h.high64, .low = h.low64 };
}

struct hash hash_bytes(const void *bytes, size_t size)
{
	return from_xxh(XXH3_128bits(bytes, size));
}

void hash_text(struct hash h, char ret[HASH_TEXT_SIZE])
{
	snprintf(ret, HASH_TEXT_SIZE, "%016" PRIx64 "%016" PRIx64, h.high, h.low);
}

bool hash_from_text(const char *text, struct hash *ret)
{
	struct hash h;
	int end = 0;

	if (sscanf(text, "%16" SCNx64 "%16" SCNx64 "%n", &h.high, &h.low, &end) != 2 || end != 32)
		return false;
	*ret = h;
	return true;
}

int hash_file(const char *path, struct hash *ret)
{
	_cleanup_buffer_ struct buffer content = BUFFER_NULL;
	int r = file_read(path, &content);

	if (r == 0)
		*ret = hash_bytes(content.data, content.size);
	return r;
}

struct hash_state *hash_state_new(void)
{
	XXH3_state_t *s = XXH3_createState();

	if (!s)
		abort();
	XXH3_128bits_reset(s);
	return (struct hash_state *)s;
}

void hash_state_add(struct hash_state *s, const void *bytes, size_t size)
{
	XXH3_128bits_update((XXH3_state_t *)s, bytes, size);
}

void hash_state_add_string(struct hash_state *s, const char *string)
{
	hash_state_add(s, string, strlen(string) + 1);
}

struct hash hash_state_end(struct hash_state *s)
{
	struct hash h = from_xxh(XXH3_128bits_digest((XXH3_state_t *)s));

	XXH3_freeState((XXH3_state_t *)s);
	return h;
}
