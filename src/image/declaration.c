/* SPDX-License-Identifier: MIT */

/*
 * The entry is read into a struct of our own in which fields that the image doesn't have are
 * zero, so that an older minor needs no case of its own. Its pointers are addresses of the
 * image; beside each word stands what relocation made of it, because a pointer that is not
 * relocated is one that the loader won't make valid.
 *
 * Tensors are called by what the author wrote: `.inputs[1]`.
 */

#include "image/declaration.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <devserve/deployment.h>
#include <devserve/ext/state.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "image/elf.h"
#include "image/inspect.h"
#include "infer/dtype.h"
#include "infer/signature.h"

#define CUDA_ID "devserve.cuda/" /* of any revision */
#define MAX_NAME 255
#define MAX_DESCRIPTION 1000
#define MAX_BATCH (1u << 20)

/* What every image has, from the first minor on. */
#define SMALLEST (offsetof(struct devserve_deployment, infer) + sizeof(void *))
#define SMALLEST_STATE (offsetof(struct devserve_state_extension, migrate) + sizeof(void *))

struct declaration {
	const struct elf *elf;
	struct devserve_deployment entry;
	unsigned char words[sizeof(struct devserve_deployment) / 8]; /* enum elf_word */
	struct buffer *why;
};

_Static_assert(sizeof(struct devserve_deployment) % 8 == 0, "the entry is made of words");

static int refuse(struct declaration *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(struct declaration *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer_vprintf(d->why, format, args);
	va_end(args);
	return IMAGE_E_REFUSED;
}

static enum elf_word word_of(const struct declaration *d, const void *field)
{
	return d->words[((const char *)field - (const char *)&d->entry) / 8];
}

/* How many bytes follow the first one of a UTF-8 sequence; -1: it can't be the first. */
static int bytes_after(uint32_t first)
{
	if (first < 0x80)
		return 0;
	if (first < 0xc2 || first > 0xf4)
		return -1;
	return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/* Names go into JSON and onto terminals as they are: UTF-8 (RFC 3629) without controls. */
static const char *fault_of_text(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		uint32_t c = *s++;
		int more = bytes_after(c);
		static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

		if (c < 0x20 || c == 0x7f)
			return "has a control character";
		if (more < 0)
			return "is not UTF-8";
		c &= more ? 0x3fu >> more : 0x7f;
		for (int i = 0; i < more; i++, s++) {
			if ((*s & 0xc0) != 0x80)
				return "is not UTF-8";
			c = c << 6 | (*s & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return "is not UTF-8";
		if (c >= 0x80 && c < 0xa0)
			return "has a control character";
	}
	return NULL;
}

/*
 * The string that the pointer @field means. 0; *@ret is NULL for a null pointer. @what names
 * it in the sentence.
 */
static int read_string(struct declaration *d, const void *field, enum elf_word word, size_t max,
		       const char *what, const char **ret)
{
	uint64_t address;
	const char *fault;

	memcpy(&address, field, sizeof(address));
	*ret = NULL;
	if (word == ELF_PLAIN && address == 0)
		return 0;
	if (word == ELF_ADDRESS)
		*ret = elf_string(d->elf, address, max);
	if (!*ret)
		return refuse(d, "%s is not a string constant of at most %zu bytes; write \"…\"",
			      what, max);
	fault = fault_of_text(*ret);
	if (fault)
		return refuse(d, "%s %s; use plain text", what, fault);
	return 0;
}

/* Shapes */

/* Extents before the first 0; what follows it must be 0 too. */
static int read_shape(struct declaration *d, const char *what, const int64_t *from,
		      struct signature_port *ret)
{
	unsigned batch = d->entry.max_batch_size ? 1 : 0;
	uint32_t rank = 0;

	while (rank < DEVSERVE_MAX_RANK && from[rank] != 0)
		rank++;
	for (uint32_t i = 0; i < DEVSERVE_MAX_RANK; i++) {
		if (i > rank && from[i] != 0)
			return refuse(d,
				      "%s has extent %" PRId64 " after an extent 0, which ends the "
				      "shape; write -1 for a free extent",
				      what, from[i]);
		if (from[i] < -1)
			return refuse(d, "%s has extent %" PRId64 "; write -1 for a free extent",
				      what, from[i]);
	}
	if (rank + batch > DEVSERVE_MAX_RANK)
		return refuse(d,
			      "%s has %" PRIu32 " extents and the batch in front; %d are possible, "
			      "so join some or set .max_batch_size = 0",
			      what, rank, DEVSERVE_MAX_RANK);
	ret->rank = rank;
	memcpy(ret->shape, from, sizeof(ret->shape));
	return 0;
}

/* Bytes of the fixed extents must be countable; the host multiplies them again and again. */
static int check_volume(struct declaration *d, const char *what, const struct signature_port *port)
{
	uint64_t bytes = dtype_size(port->dtype);

	if (bytes == 0)
		bytes = 4; /* of BYTES, at least */
	if (d->entry.max_batch_size)
		bytes *= d->entry.max_batch_size;
	for (uint32_t i = 0; i < port->rank; i++)
		if (port->shape[i] > 0 &&
		    (__builtin_mul_overflow(bytes, (uint64_t)port->shape[i], &bytes) ||
		     bytes > INT64_MAX))
			return refuse(d, "%s is larger than any memory; make its extents smaller",
				      what);
	return 0;
}

/* Ports */

static bool is_blank(const struct devserve_port *port)
{
	static const struct devserve_port blank;

	return port->dtype == 0 && memcmp(port->shape, blank.shape, sizeof(blank.shape)) == 0;
}

static int read_port(struct declaration *d, const char *what, const struct devserve_port *from,
		     const char *name, struct signature_port *ret)
{
	int r;

	if (!name[0])
		return refuse(d, "%s has an empty name; write { \"NAME\", DEVSERVE_FP32, { 16 } }",
			      what);
	if (!dtype_name(from->dtype))
		return refuse(d,
			      "%s has datatype %" PRIu32 ", which is none; write DEVSERVE_FP32 or "
			      "another of enum devserve_dtype",
			      what, from->dtype);
	ret->dtype = from->dtype;
	r = read_shape(d, what, from->shape, ret);
	if (r == 0)
		r = check_volume(d, what, ret);
	if (r == 0)
		ret->name = xstrdup(name);
	return r;
}

static int check_doubled(struct declaration *d, const char *list,
			 const struct signature_port *ports, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(ports[i].name, ports[j].name) == 0)
				return refuse(d,
					      ".%s[%" PRIu32 "] and .%s[%" PRIu32 "] are both "
					      "called \"%s\"; rename one",
					      list, j, list, i, ports[i].name);
	return 0;
}

/* @list is "inputs" or "outputs". A port without a name ends it. */
static int read_ports(struct declaration *d, const char *list, const struct devserve_port *from,
		      struct signature_port *ret, uint32_t *ret_n)
{
	bool ended = false;

	for (uint32_t i = 0; i < DEVSERVE_MAX_TENSORS; i++) {
		const char *name;
		char what[32];
		int r;

		snprintf(what, sizeof(what), ".%s[%" PRIu32 "]", list, i);
		r = read_string(d, &from[i].name, word_of(d, &from[i].name), MAX_NAME, what, &name);
		if (r != 0)
			return r;
		if (!name && !is_blank(&from[i]))
			return refuse(d,
				      "%s has no name; write { \"NAME\", DEVSERVE_FP32, { 16 } }",
				      what);
		if (name && ended)
			return refuse(
				d,
				"%s comes after an empty one, which ends the list; close the gap",
				what);
		ended = !name;
		if (ended)
			continue;
		r = read_port(d, what, &from[i], name, &ret[i]);
		if (r != 0)
			return r;
		*ret_n = i + 1;
	}
	return check_doubled(d, list, ret, *ret_n);
}

/* What the output's declaration and that of its input can't both mean. */
static int check_same_shape(struct declaration *d, const struct signature *s)
{
	if (s->n_outputs > s->n_inputs)
		return refuse(d,
			      "DEVSERVE_SAME_SHAPE gives each output the shape of the input beside "
			      "it, and there are %" PRIu32 " outputs for %" PRIu32 " inputs; use "
			      "DEVSERVE_OWN_SHAPE",
			      s->n_outputs, s->n_inputs);
	for (uint32_t i = 0; i < s->n_outputs; i++) {
		const struct signature_port *in = &s->inputs[i], *out = &s->outputs[i];
		bool same = in->rank == out->rank;

		for (uint32_t k = 0; same && k < in->rank; k++)
			same = in->shape[k] == out->shape[k] || out->shape[k] < 0;
		if (!same)
			return refuse(
				d,
				"DEVSERVE_SAME_SHAPE gives \"%s\" the shape of \"%s\", but they "
				"are declared with different ones, or only \"%s\" with a fixed one; "
				"write the same or use DEVSERVE_OWN_SHAPE",
				out->name, in->name, out->name);
	}
	return 0;
}

static int read_signature(struct declaration *d, struct signature *s)
{
	const struct devserve_deployment *entry = &d->entry;
	const char *description;
	int r;

	if (entry->max_batch_size > MAX_BATCH)
		return refuse(d, ".max_batch_size is %" PRIu32 "; at most %u is possible",
			      entry->max_batch_size, MAX_BATCH);
	if (entry->shape > DEVSERVE_SAME_SHAPE)
		return refuse(d,
			      ".shape is %" PRIu32 ", which is none; write DEVSERVE_OWN_SHAPE or "
			      "DEVSERVE_SAME_SHAPE",
			      entry->shape);
	s->max_batch_size = entry->max_batch_size;
	s->max_queue_delay_us = entry->max_queue_delay_microseconds;
	s->output_shape = entry->shape;
	r = read_string(d, &entry->description, word_of(d, &entry->description), MAX_DESCRIPTION,
			".description", &description);
	if (r == 0)
		r = read_ports(d, "inputs", entry->inputs, s->inputs, &s->n_inputs);
	if (r == 0)
		r = read_ports(d, "outputs", entry->outputs, s->outputs, &s->n_outputs);
	if (r != 0)
		return r;
	if (description)
		s->description = xstrdup(description);
	if (s->n_outputs == 0)
		return refuse(d, "the deployment has no outputs; write .outputs = "
				 "DEVSERVE_TENSORS({ \"NAME\", DEVSERVE_FP32, { 16 } })");
	if (s->n_inputs == 0 && s->max_batch_size)
		return refuse(d,
			      "only inputs can say how large a batch is, and there are none; leave "
			      ".max_batch_size out");
	return s->output_shape == DEVSERVE_SAME_SHAPE ? check_same_shape(d, s) : 0;
}

/* Functions */

/* @field is a function pointer, and @word what relocation made of it. */
static int read_function(struct declaration *d, const char *what, const void *field,
			 enum elf_word word, bool *ret)
{
	uint64_t address;

	memcpy(&address, field, sizeof(address));
	*ret = word != ELF_PLAIN || address != 0;
	if (word == ELF_FOREIGN || !*ret)
		return 0;
	if (word == ELF_PLAIN || !elf_is_code(d->elf, address))
		return refuse(d, "%s is not a function of the image", what);
	return 0;
}

static int read_functions(struct declaration *d, struct image_info *info)
{
	bool has_infer;
	int r = read_function(d, ".infer", &d->entry.infer, word_of(d, &d->entry.infer),
				  &has_infer);

	if (r == 0 && !has_infer)
		return refuse(d, "the deployment has no .infer; write .infer = FUNCTION");
	if (r == 0)
		r = read_function(d, ".create", &d->entry.create, word_of(d, &d->entry.create),
				  &info->has_create);
	if (r == 0)
		r = read_function(d, ".destroy", &d->entry.destroy, word_of(d, &d->entry.destroy),
				  &info->has_destroy);
	info->signature->creates = info->has_create;
	return r;
}

/* Extensions */

/* "devserve.state/1": dotted lower-case words, a slash, a number. */
static bool is_extension_id(const char *id)
{
	const char *words = "abcdefghijklmnopqrstuvwxyz0123456789-";
	unsigned n_words = 0;

	for (;; id++) {
		size_t n = strspn(id, words);

		if (n == 0)
			return false;
		n_words++;
		id += n;
		if (*id != '.')
			break;
	}
	if (n_words < 2 || *id++ != '/' || *id == '0')
		return false;
	return *id && strspn(id, "0123456789") == strlen(id) && strlen(id) < 10;
}

/* Whether @address is that of a null pointer variable of the image. */
static bool is_slot(const struct declaration *d, enum elf_word word, uint64_t address)
{
	return word == ELF_ADDRESS && address % 8 == 0 && elf_is_zeroed(d->elf, address);
}

static int read_state(struct declaration *d, const char *what, uint64_t address, size_t struct_size,
		      struct signature *s)
{
	struct devserve_state_extension state = { .migrate_from = NULL };
	unsigned char words[sizeof(state) / 8] = { 0 };
	size_t there = struct_size < sizeof(state) ? struct_size & ~(size_t)7 : sizeof(state);
	bool migrates = false, migrates_from = false;
	uint64_t slot;
	int r;

	if (there < SMALLEST_STATE || !elf_load(d->elf, address, &state, there, words))
		return refuse(d, "%s (" DEVSERVE_STATE_ID ") is too small; use DEVSERVE_STATE()", what);
	if (state.size == 0 || state.size > DEVSERVE_MAX_STATE)
		return refuse(d, "%s: a state of %" PRIu64 " bytes; 1 byte to 1 GiB are possible",
			      what, state.size);
	if (state.version == 0)
		return refuse(d, "%s: the state has no version; write DEVSERVE_STATE(struct NAME, "
				 ".version = 1)", what);
	if (state.reserved != 0)
		return refuse(d, "%s: .reserved is %" PRIu32 "; leave it 0", what, state.reserved);
	memcpy(&slot, &state.slot, sizeof(slot));
	if (!is_slot(d, words[offsetof(struct devserve_state_extension, slot) / 8], slot))
		return refuse(d, "%s: .slot is not a null pointer variable of the image; use "
				 "DEVSERVE_STATE()", what);
	s->state.size = state.size;
	s->state.version = state.version;
	r = read_function(d, ".migrate", &state.migrate,
			  words[offsetof(struct devserve_state_extension, migrate) / 8], &migrates);
	if (r == 0)
		r = read_function(d, ".migrate_from", &state.migrate_from,
				  words[offsetof(struct devserve_state_extension, migrate_from) / 8], &migrates_from);
	s->state.migrates = migrates || migrates_from;
	return r;
}

static int read_extension(struct declaration *d, unsigned i, uint64_t address,
			  struct signature *s, char **ret)
{
	struct devserve_extension extension;
	unsigned char words[sizeof(extension) / 8];
	char what[32];
	const char *id;
	int r;

	snprintf(what, sizeof(what), ".extensions[%u]", i);
	if (address % 8 || !elf_load(d->elf, address, &extension, sizeof(extension), words))
		return refuse(
			d, "%s is not constant data of the image; declare its struct static const",
			what);
	r = read_string(d, &extension.id, words[0], MAX_NAME, what, &id);
	if (r != 0)
		return r;
	if (!id || !is_extension_id(id))
		return refuse(d, "%s has the id \"%s\"; write \"devserve.NAME/REVISION\"", what,
			      id ? id : "");
	if (extension.struct_size < sizeof(extension))
		return refuse(d,
			      "%s (%s) has .struct_size %" PRIu32 "; write the size of its struct",
			      what, id, extension.struct_size);
	if (extension.reserved != 0)
		return refuse(d, "%s (%s) has .reserved %" PRIu32 "; leave it 0", what, id,
			      extension.reserved);
	*ret = xstrdup(id);
	s->cuda |= strncmp(id, CUDA_ID, sizeof(CUDA_ID) - 1) == 0;
	return strcmp(id, DEVSERVE_STATE_ID) == 0 ? read_state(d, what, address, extension.struct_size, s) : 0;
}

static int read_extensions(struct declaration *d, struct image_info *info)
{
	for (unsigned i = 0; i < DEVSERVE_MAX_EXTENSIONS; i++) {
		const void *field = &d->entry.extensions[i];
		enum elf_word word = word_of(d, field);
		uint64_t address;
		int r;

		memcpy(&address, field, sizeof(address));
		if (word == ELF_PLAIN && address == 0)
			return 0;
		if (word != ELF_ADDRESS)
			return refuse(d, ".extensions[%u] is not a struct of the image", i);
		r = read_extension(d, i, address, info->signature, &info->extensions[i]);
		if (r != 0)
			return r;
		for (unsigned j = 0; j < i; j++)
			if (strcmp(info->extensions[i], info->extensions[j]) == 0)
				return refuse(d, ".extensions has %s twice; drop one",
					      info->extensions[i]);
	}
	return 0;
}

/* Versions */

static int check_version(struct declaration *d, uint64_t symbol_size)
{
	const struct devserve_deployment *entry = &d->entry;

	if (entry->abi_major == 0 && entry->struct_size == 0) {
		buffer_puts(d->why, "devserve_entry is empty; write DEVSERVE_DEPLOYMENT(...)");
		return IMAGE_E_NO_ENTRY;
	}
	if (entry->abi_major != DEVSERVE_ABI_MAJOR) {
		buffer_printf(d->why,
			      "the image has ABI %u, this devserve %u; build it against this "
			      "devserve's <devserve/deployment.h>",
			      entry->abi_major, DEVSERVE_ABI_MAJOR);
		return IMAGE_E_INCOMPATIBLE;
	}
	if (entry->struct_size < SMALLEST || (symbol_size && symbol_size < entry->struct_size))
		return refuse(
			d,
			"devserve_entry has .struct_size %" PRIu32 " and %" PRIu64 " bytes; "
			"write sizeof(struct devserve_deployment), or use DEVSERVE_DEPLOYMENT()",
			entry->struct_size, symbol_size);
	return 0;
}

/* First the part that never moves, then as much as both sides know. */
static int load_entry(struct declaration *d, uint64_t address, uint64_t symbol_size)
{
	size_t known = sizeof(d->entry);
	int r;

	if (address % 8 || !elf_load(d->elf, address, &d->entry, 8, NULL))
		return refuse(d, "devserve_entry lies outside of the file; build it again");
	r = check_version(d, symbol_size);
	if (r != 0)
		return r;
	if (d->entry.struct_size < known)
		known = d->entry.struct_size & ~7u;
	if (!elf_load(d->elf, address, &d->entry, known, d->words))
		return refuse(d, "devserve_entry lies partly outside of the file; build it again");
	return 0;
}

int declaration_read(const struct elf *e, uint64_t address, uint64_t symbol_size,
		     struct image_info *info, struct buffer *why)
{
	struct declaration d = { .elf = e, .why = why };
	int r = load_entry(&d, address, symbol_size);

	if (r != 0)
		return r;
	info->struct_size = d.entry.struct_size;
	info->abi_major = d.entry.abi_major;
	info->abi_minor = d.entry.abi_minor;
	r = read_functions(&d, info);
	if (r == 0)
		r = read_signature(&d, info->signature);
	if (r == 0)
		r = read_extensions(&d, info);
	return r;
}
