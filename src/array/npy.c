/* SPDX-License-Identifier: MIT */
#include "array/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "array/array.h"
#include "array/npy_header.h"
#include "infer/dtype.h"

#define MAGIC "\x93NUMPY"
#define ALIGNMENT 64 /* of the data in the file */

/* Reading */

static uint32_t dtype_of(const struct npy_header *h)
{
	static const struct {
		char kind;
		uint64_t item;
		uint32_t dtype;
	} types[] = {
		{ 'b', 1, DEVSERVE_BOOL },   { 'i', 1, DEVSERVE_INT8 },   { 'i', 2, DEVSERVE_INT16 },
		{ 'i', 4, DEVSERVE_INT32 },  { 'i', 8, DEVSERVE_INT64 },  { 'u', 1, DEVSERVE_UINT8 },
		{ 'u', 2, DEVSERVE_UINT16 }, { 'u', 4, DEVSERVE_UINT32 }, { 'u', 8, DEVSERVE_UINT64 },
		{ 'f', 2, DEVSERVE_FP16 },   { 'f', 4, DEVSERVE_FP32 },   { 'f', 8, DEVSERVE_FP64 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].kind == h->kind && types[i].item == h->item)
			return types[i].dtype;
	return DEVSERVE_BYTES;
}

/* The items in the order in which the last extent is the innermost. */
static void reorder(const struct npy_header *h, const unsigned char *from, unsigned char *to)
{
	uint64_t index[DEVSERVE_MAX_RANK] = { 0 }, stride[DEVSERVE_MAX_RANK], at = 0;

	for (uint32_t k = 0; k < h->rank; k++)
		stride[k] = k ? stride[k - 1] * (uint64_t)h->shape[k - 1] : 1;
	for (uint64_t i = 0; i < h->elements; i++) {
		memcpy(to + i * h->item, from + at * h->item, h->item);
		for (uint32_t k = h->rank; k-- > 0;) {
			at += stride[k];
			if (++index[k] < (uint64_t)h->shape[k])
				break;
			at -= stride[k] * (uint64_t)h->shape[k];
			index[k] = 0;
		}
	}
}

static void swap(unsigned char *bytes, uint64_t size, size_t item)
{
	for (uint64_t at = 0; at < size; at += item) {
		for (size_t i = 0; i < item / 2; i++) {
			unsigned char c = bytes[at + i];

			bytes[at + i] = bytes[at + item - 1 - i];
			bytes[at + item - 1 - i] = c;
		}
	}
}

/* Any byte but 0 is true to numpy; to the protocol 1 is. */
static void normalize_bools(unsigned char *bytes, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = bytes[i] != 0;
}

/* A character of UCS-4 as UTF-8; 0: it is none. */
static size_t put_character(uint32_t c, unsigned char *to)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (unsigned char)(0x80 | (c & 0x3f));
	to[0] = (unsigned char)(lead[n] | c);
	return n;
}

/* One S or U without the zeros that fill it up. Returns its size as BYTES, 0: no text. */
static size_t put_item(const struct npy_header *h, const unsigned char *item, unsigned char *to)
{
	size_t width = h->kind == 'U' ? 4 : 1, n = h->item / width, at = sizeof(uint32_t);
	static const unsigned char zeros[4];
	uint32_t size, c;

	while (n && memcmp(item + (n - 1) * width, zeros, width) == 0)
		n--;
	for (size_t i = 0; i < n && width == 4; i++) {
		size_t bytes;

		memcpy(&c, item + 4 * i, sizeof(c));
		bytes = put_character(c, to + at);
		if (!bytes)
			return 0;
		at += bytes;
	}
	if (width == 1) {
		memcpy(to + at, item, n);
		at += n;
	}
	size = (uint32_t)(at - sizeof(size));
	memcpy(to, &size, sizeof(size));
	return at;
}

static int make_bytes(const struct npy_header *h, const unsigned char *items, struct array *a,
		      struct buffer *why)
{
	uint64_t room;
	int r;

	if (__builtin_mul_overflow(h->elements, h->item + sizeof(uint32_t), &room))
		return -E2BIG;
	r = array_allocate(a, room);
	if (r < 0)
		return r;
	a->size = 0;
	for (uint64_t i = 0; i < h->elements; i++) {
		size_t n = put_item(h, items + i * h->item, a->data + a->size);

		if (!n) {
			buffer_puts(why, "it holds a character that isn't one");
			return -EINVAL;
		}
		a->size += n;
	}
	return 0;
}

/* The items as they are on this machine, in our order. */
static int load(const struct npy_header *h, const unsigned char *data, struct array *ret)
{
	int r = array_allocate(ret, h->elements * h->item);

	if (r < 0)
		return r;
	if (h->fortran && h->rank > 1)
		reorder(h, data, ret->data);
	else
		memcpy(ret->data, data, ret->size);
	if (h->swapped && h->kind != 'S')
		swap(ret->data, ret->size, h->kind == 'U' ? 4 : h->item);
	if (h->kind == 'b')
		normalize_bools(ret->data, ret->size);
	return 0;
}

int npy_parse(const void *bytes, size_t size, struct array *ret, struct buffer *why)
{
	struct array items = ARRAY_NULL, text = ARRAY_NULL, *a = &items;
	struct npy_header h;
	int r = npy_header_parse(bytes, size, &h, why);

	if (r == 0)
		r = load(&h, (const unsigned char *)bytes + h.data_at, &items);
	if (r == 0 && dtype_of(&h) == DEVSERVE_BYTES) {
		r = make_bytes(&h, items.data, &text, why);
		a = &text;
	}
	if (r == -E2BIG) {
		buffer_puts(why, "it is too large");
		r = -EINVAL;
	}
	if (r == 0) {
		ret->dtype = dtype_of(&h);
		ret->rank = h.rank;
		memcpy(ret->shape, h.shape, sizeof(h.shape));
		ret->data = a->data;
		ret->size = a->size;
		a->data = NULL;
	}
	array_fini(&items);
	array_fini(&text);
	return r;
}

static int parse_file(int fd, struct array *ret, struct buffer *why)
{
	struct stat st;
	void *map;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > ARRAY_MAX_BYTES) {
		buffer_puts(why, S_ISREG(st.st_mode) ? "it is too large" : "it is no file");
		return -EINVAL;
	}
	if (!st.st_size) {
		buffer_puts(why, "it is empty");
		return -EINVAL;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r = npy_parse(map, (size_t)st.st_size, ret, why);
	munmap(map, (size_t)st.st_size);
	return r;
}

int npy_read(const char *path, struct array *ret, struct buffer *why)
{
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	r = fd < 0 ? -errno : parse_file(fd, ret, &reason);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		buffer_printf(why, "%s: %s", path, reason.size ? reason.data : strerror(-r));
	return r;
}

/* Writing */

static const char *descr_of(uint32_t dtype)
{
	static const char *const descrs[] = {
		[DEVSERVE_BOOL] = "|b1",   [DEVSERVE_UINT8] = "|u1",  [DEVSERVE_UINT16] = "<u2",
		[DEVSERVE_UINT32] = "<u4", [DEVSERVE_UINT64] = "<u8", [DEVSERVE_INT8] = "|i1",
		[DEVSERVE_INT16] = "<i2",  [DEVSERVE_INT32] = "<i4",  [DEVSERVE_INT64] = "<i8",
		[DEVSERVE_FP16] = "<f2",   [DEVSERVE_FP32] = "<f4",   [DEVSERVE_FP64] = "<f8",
		[DEVSERVE_BF16] = "<f4",
	};

	return dtype < ARRAY_SIZE(descrs) ? descrs[dtype] : NULL;
}

static void put_header(const struct array *a, const char *descr, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	unsigned char head[10] = MAGIC "\x01";

	buffer_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
	for (uint32_t k = 0; k < a->rank; k++)
		buffer_printf(&text, k ? " %" PRId64 "," : "%" PRId64 ",", a->shape[k]);
	if (a->rank > 1)
		text.size--; /* (2, 3), but (2,) */
	buffer_puts(&text, "), }");
	while ((sizeof(head) + text.size + 1) % ALIGNMENT)
		buffer_putc(&text, ' ');
	buffer_putc(&text, '\n');
	head[8] = (unsigned char)(text.size & 0xff);
	head[9] = (unsigned char)(text.size >> 8);
	buffer_append(ret, head, sizeof(head));
	buffer_append(ret, text.data, text.size);
}

/* The longest element, or -EINVAL: S would lose a NUL at the end. */
static int longest(const struct array *a, size_t *ret, struct buffer *why)
{
	const char *bytes;
	uint64_t at = 0;
	size_t size;

	*ret = 1;
	while (array_next_bytes(a, &at, &bytes, &size)) {
		if (size && !bytes[size - 1]) {
			buffer_puts(why, "an element ends with a zero byte, which a .npy file can't keep");
			return -EINVAL;
		}
		*ret = size > *ret ? size : *ret;
	}
	return 0;
}

static int put_bytes(const struct array *a, struct buffer *ret, struct buffer *why)
{
	char descr[32] = "|S";
	uint64_t at = 0, total;
	const char *bytes;
	size_t width, size;
	int r = longest(a, &width, why);

	if (r < 0)
		return r;
	if (__builtin_mul_overflow(array_elements(a), width, &total) || total > ARRAY_MAX_BYTES) {
		buffer_puts(why, "its elements are so different in length that the .npy file would be too large");
		return -EINVAL;
	}
	snprintf(descr, sizeof(descr), "|S%zu", width);
	put_header(a, descr, ret);
	while (array_next_bytes(a, &at, &bytes, &size)) {
		memset(buffer_reserve(ret, width), 0, width);
		memcpy(ret->data + ret->size, bytes, size);
		buffer_grow(ret, width);
	}
	return 0;
}

int npy_format(const struct array *a, struct buffer *ret, struct buffer *why)
{
	uint64_t n = array_elements(a);

	if (a->dtype == DEVSERVE_BYTES)
		return put_bytes(a, ret, why);
	put_header(a, descr_of(a->dtype), ret);
	if (a->dtype != DEVSERVE_BF16) {
		buffer_append(ret, a->data, a->size);
		return 0;
	}
	for (uint64_t i = 0; i < n; i++) {
		float f;

		array_widen(a->dtype, a->data + 2 * i, &f, 1);
		buffer_append(ret, &f, sizeof(f));
	}
	return 0;
}
