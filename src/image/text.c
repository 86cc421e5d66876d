/* SPDX-License-Identifier: MIT */

/*
 * The pages of `devserve inspect`. Names of tensors were checked to be plain text; names of
 * libraries and files were not, and a terminal obeys control characters.
 */

#include <inttypes.h>
#include <string.h>

#include <devserve/deployment.h>

#include "base/buffer.h"
#include "base/json.h"
#include "image/inspect.h"
#include "infer/dtype.h"
#include "infer/signature.h"

static void put_safely(struct buffer *b, const char *s)
{
	for (; *s; s++)
		buffer_putc(b, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

/* The title stands in front of the first line only. */
static void put_title(struct buffer *b, const char *title)
{
	buffer_printf(b, "%-12s ", title);
}

static void put_list(struct buffer *b, const char *title, char *const *list)
{
	put_title(b, title);
	if (!list || !*list)
		buffer_puts(b, "none");
	for (char *const *s = list; s && *s; s++) {
		buffer_puts(b, s == list ? "" : ", ");
		put_safely(b, *s);
	}
	buffer_putc(b, '\n');
}

static void put_shape(struct buffer *b, const struct signature_port *port, bool batched)
{
	const char *between = "";

	buffer_putc(b, '[');
	if (batched) {
		buffer_puts(b, "batch");
		between = ", ";
	}
	for (uint32_t i = 0; i < port->rank; i++, between = ", ")
		buffer_printf(b, "%s%" PRId64, between, port->shape[i]);
	buffer_putc(b, ']');
}

static void put_ports(struct buffer *b, const char *title, const struct signature_port *ports,
		      uint32_t n, bool batched)
{
	if (n == 0) {
		put_title(b, title);
		buffer_puts(b, "none\n");
	}
	for (uint32_t i = 0; i < n; i++) {
		put_title(b, i == 0 ? title : "");
		buffer_printf(b, "%-15s %-6s ", ports[i].name, dtype_name(ports[i].dtype));
		put_shape(b, &ports[i], batched);
		buffer_putc(b, '\n');
	}
}

static void put_size(struct buffer *b, uint64_t size)
{
	if (size < 10240)
		buffer_printf(b, "%" PRIu64 " bytes", size);
	else if (size < 10 << 20)
		buffer_printf(b, "%" PRIu64 " KiB", (size + 512) >> 10);
	else
		buffer_printf(b, "%" PRIu64 " MiB", (size + (1 << 19)) >> 20);
}

static void put_batch(struct buffer *b, const struct signature *s)
{
	put_title(b, "batch");
	if (s->max_batch_size == 0)
		buffer_puts(b, "none: tensors come exactly as declared\n");
	else if (s->max_queue_delay_us == 0)
		buffer_printf(b, "up to %" PRIu32 ", of requests that wait anyway\n",
			      s->max_batch_size);
	else
		buffer_printf(b, "up to %" PRIu32 ", the first request waits %" PRIu32 " µs\n",
			      s->max_batch_size, s->max_queue_delay_us);
}

static void put_state(struct buffer *b, const struct signature *s)
{
	if (s->state.size == 0)
		return;
	put_title(b, "state");
	put_size(b, s->state.size);
	buffer_printf(b, ", version %" PRIu32 "%s\n", s->state.version,
		      s->state.migrates ? ", made from others by migrate" : "");
}

static void put_unloading(struct buffer *b, const struct image_info *info)
{
	put_title(b, "unloading");
	if (info->nodelete)
		buffer_puts(b, "stays mapped: linked with -z nodelete\n");
	else if (info->unique)
		buffer_puts(b, "stays mapped: has unique symbols; compile with -fno-gnu-unique\n");
	else
		buffer_puts(b, "can be unmapped\n");
	if (info->static_tls) {
		put_title(b, "");
		buffer_puts(b, "uses static TLS, of which a process has little: it may not load\n");
	}
}

void image_info_text(const struct image_info *info, const char *path, struct buffer *ret)
{
	const struct signature *s = info->signature;
	bool batched = s->max_batch_size > 0;

	put_title(ret, "image");
	put_safely(ret, path);
	buffer_puts(ret, ", ");
	put_size(ret, info->file_size);
	buffer_putc(ret, '\n');
	if (s->description) {
		put_title(ret, "description");
		buffer_printf(ret, "%s\n", s->description);
	}
	put_ports(ret, "inputs", s->inputs, s->n_inputs, batched);
	put_ports(ret, "outputs", s->outputs, s->n_outputs, batched);
	put_title(ret, "shapes");
	buffer_puts(ret, s->output_shape == DEVSERVE_SAME_SHAPE
				 ? "each output has that of the input beside it\n"
				 : "infer gives free outputs theirs\n");
	put_batch(ret, s);
	put_title(ret, "functions");
	buffer_printf(ret, "infer%s%s\n", info->has_create ? ", create" : "",
		      info->has_destroy ? ", destroy" : "");
	put_list(ret, "extensions", info->extensions);
	put_state(ret, s);
	put_list(ret, "libraries", info->needed);
	put_unloading(ret, info);
	put_title(ret, "ABI");
	buffer_printf(ret, "%u.%u\n", info->abi_major, info->abi_minor);
	put_title(ret, "build id");
	buffer_printf(ret, "%s\n", info->build_id[0] ? info->build_id : "none");
}

static void json_list(struct buffer *b, const char *key, char *const *list)
{
	json_array(b, key);
	for (char *const *s = list; s && *s; s++)
		json_string(b, NULL, *s);
	json_array_end(b);
}

static void json_ports(struct buffer *b, const char *key, const struct signature_port *ports,
		       uint32_t n)
{
	json_array(b, key);
	for (uint32_t i = 0; i < n; i++) {
		json_object(b, NULL);
		json_string(b, "name", ports[i].name);
		json_string(b, "datatype", dtype_name(ports[i].dtype));
		json_array(b, "shape");
		for (uint32_t k = 0; k < ports[i].rank; k++)
			json_int(b, NULL, ports[i].shape[k]);
		json_array_end(b);
		json_object_end(b);
	}
	json_array_end(b);
}

static void json_abi(struct buffer *b, const struct image_info *info)
{
	json_object(b, "abi");
	json_uint(b, "major", info->abi_major);
	json_uint(b, "minor", info->abi_minor);
	json_uint(b, "struct_size", info->struct_size);
	json_object_end(b);
}

static void json_state(struct buffer *b, const struct signature *s)
{
	if (s->state.size == 0)
		return;
	json_object(b, "state");
	json_uint(b, "size", s->state.size);
	json_uint(b, "version", s->state.version);
	json_bool(b, "migrates", s->state.migrates);
	json_object_end(b);
}

void image_info_json(const struct image_info *info, const char *path, struct buffer *ret)
{
	const struct signature *s = info->signature;

	json_object(ret, NULL);
	json_string(ret, "path", path);
	json_uint(ret, "size", info->file_size);
	json_string(ret, "build_id", info->build_id[0] ? info->build_id : NULL);
	json_abi(ret, info);
	json_string(ret, "description", s->description);
	json_ports(ret, "inputs", s->inputs, s->n_inputs);
	json_ports(ret, "outputs", s->outputs, s->n_outputs);
	json_string(ret, "output_shape", s->output_shape == DEVSERVE_SAME_SHAPE ? "same" : "own");
	json_uint(ret, "max_batch_size", s->max_batch_size);
	json_uint(ret, "max_queue_delay_microseconds", s->max_queue_delay_us);
	json_bool(ret, "create", info->has_create);
	json_bool(ret, "destroy", info->has_destroy);
	json_list(ret, "extensions", info->extensions);
	json_state(ret, s);
	json_list(ret, "needed", info->needed);
	json_bool(ret, "nodelete", info->nodelete);
	json_bool(ret, "unique", info->unique);
	json_bool(ret, "static_tls", info->static_tls);
	json_object_end(ret);
}
