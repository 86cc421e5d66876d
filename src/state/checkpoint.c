/* SPDX-License-Identifier: MIT */
#include "state/checkpoint.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <devserve/ext/state.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "state/layout.h"

#define MAGIC "devstate"
#define FORMAT 1u
#define MACHINE EM_X86_64 /* states are bytes as this machine lays them out */
#define PAGE UINT64_C(4096)
#define ALL_AT_ONCE (UINT64_C(1) << 20)
#define MOST_READ (UINT64_C(64) << 20) /* bytes, where it is written faster than it can be read: then a mixture must do */

struct header {
	char magic[8];
	uint32_t format;
	uint16_t abi_major, machine;
	uint64_t size; /* of the state */
	uint32_t version;
	uint32_t generation; /* that the newest was of; 0: not known */
	uint64_t layout_size;      /* bytes of the layout's text, behind the slots; 0: not known */
	_Atomic uint64_t sequence; /* slot sequence % 2 is the newest; 0: neither */
	uint64_t image_low, image_high; /* where that generation's image was mapped; 0: not known */
};

struct checkpoint_writer {
	struct header *header;
	uint64_t mapped; /* bytes */
	char path[4096], new_path[4096 + 8];
	bool placed; /* it is the file at `path` */
};

static uint64_t slot_offset(uint64_t size, uint64_t sequence)
{
	return PAGE + sequence % 2 * ((size + PAGE - 1) & ~(PAGE - 1));
}

static uint64_t file_size(uint64_t size)
{
	return slot_offset(size, 0) + 2 * (slot_offset(size, 1) - slot_offset(size, 0));
}

/* Reading */

static const char *fault_of(const struct header *h, uint64_t there)
{
	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
		return "it is not a checkpoint";
	if (h->format != FORMAT || h->abi_major != DEVSERVE_ABI_MAJOR)
		return "another version of devserve wrote it";
	if (h->machine != MACHINE)
		return "a machine of another kind wrote it";
	if (h->size == 0 || h->size > DEVSERVE_MAX_STATE || h->version == 0 || h->sequence == 0)
		return "it is damaged";
	if (there < file_size(h->size))
		return "it is cut short";
	return NULL;
}

static int read_header(int fd, struct header *ret, char *why, size_t size)
{
	const char *fault = "it is cut short";
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		fault = "it is not a file";
	else if ((n = pread(fd, ret, sizeof(*ret), 0)) < 0)
		return -errno;
	else if ((size_t)n == sizeof(*ret))
		fault = fault_of(ret, (uint64_t)st.st_size);
	if (!fault)
		return 0;
	snprintf(why, size, "%s", fault);
	return CHECKPOINT_E_FOREIGN;
}

int checkpoint_open(const char *path, struct checkpoint *ret, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;
	struct header h;

	if (fd < 0)
		return -errno;
	r = read_header(fd, &h, why, size);
	if (r != 0) {
		close(fd);
		return r;
	}
	*ret = (struct checkpoint){
		.fd = fd,
		.size = h.size,
		.version = h.version,
		.generation = h.generation,
		.offset = slot_offset(h.size, h.sequence),
		.sequence = h.sequence,
		.layout_size = h.layout_size,
		.image_low = h.image_low,
		.image_high = h.image_high,
	};
	return 0;
}

static int read_at(int fd, uint64_t offset, uint64_t size, void *ret)
{
	uint64_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, (char *)ret + at, size - at, (off_t)(offset + at));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO; /* cut short meanwhile */
		at += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

bool checkpoint_is_newest(const struct checkpoint *c)
{
	uint64_t sequence;

	return pread(c->fd, &sequence, sizeof(sequence), offsetof(struct header, sequence)) == sizeof(sequence) &&
	       sequence == c->sequence;
}

/* What changes from one checkpoint to the next. 0 or -errno. */
static int look_again(struct checkpoint *c)
{
	struct header h;
	int r = read_at(c->fd, 0, sizeof(h), &h);

	if (r != 0)
		return r;
	c->generation = h.generation;
	c->offset = slot_offset(c->size, h.sequence);
	c->sequence = h.sequence;
	c->image_low = h.image_low;
	c->image_high = h.image_high;
	return 0;
}

int checkpoint_read(struct checkpoint *c, void *ret)
{
	int r = read_at(c->fd, c->offset, c->size, ret);

	for (uint64_t n = c->size; r == 0 && n < MOST_READ && !checkpoint_is_newest(c); n += c->size + PAGE) {
		r = look_again(c);
		if (r == 0)
			r = read_at(c->fd, c->offset, c->size, ret);
	}
	return r;
}

int checkpoint_read_part(const struct checkpoint *c, uint64_t at, uint64_t size, void *ret)
{
	return read_at(c->fd, c->offset + at, size, ret);
}

struct layout *checkpoint_layout(const struct checkpoint *c)
{
	_cleanup_free_ char *text = NULL;
	struct layout *l;

	if (!c->layout_size || c->layout_size > LAYOUT_MAX_TEXT)
		return NULL;
	text = xmalloc(c->layout_size);
	if (read_at(c->fd, file_size(c->size), c->layout_size, text) != 0)
		return NULL;
	l = layout_parse(text, c->layout_size);
	return l && l->size == c->size ? l : layout_unref(l);
}

void checkpoint_close(struct checkpoint *c)
{
	close(c->fd);
}

/* Writing */

static int make_room(struct checkpoint_writer *w)
{
	int fd, r;

	unlink(w->new_path); /* a dead worker's; its inode may still be written */
	fd = open(w->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, (off_t)w->mapped);
	if (r == 0) {
		w->header = mmap(NULL, w->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (w->header == MAP_FAILED)
			r = -errno;
	}
	if (r != 0)
		unlink(w->new_path);
	close(fd);
	return r;
}

int checkpoint_writer_new(const char *path, uint64_t size, uint32_t version, const struct layout *layout,
			  struct checkpoint_writer **ret)
{
	struct checkpoint_writer *w = xcalloc(1, sizeof(*w));
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r;

	if (layout)
		layout_format(layout, &text);
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->new_path, sizeof(w->new_path), "%s.new", path);
	w->mapped = file_size(size) + text.size;
	r = make_room(w);
	if (r != 0) {
		free(w);
		return r;
	}
	w->header->format = FORMAT;
	w->header->abi_major = DEVSERVE_ABI_MAJOR;
	w->header->machine = MACHINE;
	w->header->size = size;
	w->header->version = version;
	w->header->layout_size = text.size;
	if (text.size)
		memcpy((char *)w->header + file_size(size), text.data, text.size);
	memcpy(w->header->magic, MAGIC, sizeof(w->header->magic));
	*ret = w;
	return 0;
}

struct checkpoint_writer *checkpoint_writer_free(struct checkpoint_writer *w)
{
	if (!w)
		return NULL;
	munmap(w->header, w->mapped);
	if (!w->placed)
		unlink(w->new_path);
	free(w);
	return NULL;
}

/* A page that is written goes to the disk; of a large state most are as they were two checkpoints ago. */
static void write_slot(char *to, const char *from, uint64_t size)
{
	if (size <= ALL_AT_ONCE) {
		memcpy(to, from, size);
		return;
	}
	for (uint64_t at = 0; at < size; at += PAGE) {
		size_t n = size - at < PAGE ? size - at : PAGE;

		if (memcmp(to + at, from + at, n) != 0)
			memcpy(to + at, from + at, n);
	}
}

int checkpoint_write(struct checkpoint_writer *w, const void *state)
{
	uint64_t next = atomic_load_explicit(&w->header->sequence, memory_order_relaxed) + 1;

	write_slot((char *)w->header + slot_offset(w->header->size, next), state, w->header->size);
	atomic_store_explicit(&w->header->sequence, next, memory_order_release);
	if (!w->placed && rename(w->new_path, w->path) < 0)
		return -errno;
	w->placed = true;
	return 0;
}

void checkpoint_is_of(struct checkpoint_writer *w, uint32_t generation, uint64_t image_low, uint64_t image_high)
{
	w->header->generation = generation;
	w->header->image_low = image_low;
	w->header->image_high = image_high;
}

void checkpoint_was_written(struct checkpoint_writer *w)
{
	w->placed = true;
}
