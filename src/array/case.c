/* SPDX-License-Identifier: MIT */
#include "array/case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array/array.h"
#include "array/npy.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "infer/dtype.h"

char *case_path(const char *directory, const char *side, const char *tensor)
{
	struct buffer path = BUFFER_NULL;

	buffer_printf(&path, "%s/%s/", directory, side);
	for (const char *c = tensor; *c; c++) {
		if (*c == '/' || *c == '%' || (*c == '.' && c == tensor))
			buffer_printf(&path, "%%%02X", (unsigned char)*c);
		else
			buffer_putc(&path, *c);
	}
	buffer_puts(&path, ".npy");
	return buffer_steal(&path);
}

static int write_file(const char *path, const struct buffer *bytes, struct buffer *why)
{
	int r = file_write(path, bytes->data, bytes->size, 0666);

	if (r < 0)
		buffer_printf(why, "cannot write %s: %s", path, strerror(-r));
	return r;
}

static int write_side(const char *directory, const char *side, const struct array *arrays, size_t n, struct buffer *why)
{
	_cleanup_free_ char *made = path_join(directory, side);
	int r = file_make_directories(made);

	if (r < 0)
		buffer_printf(why, "cannot make %s: %s", made, strerror(-r));
	for (size_t i = 0; i < n && r == 0; i++) {
		_cleanup_buffer_ struct buffer bytes = BUFFER_NULL;
		_cleanup_free_ char *path = case_path(directory, side, arrays[i].name);

		r = npy_format(&arrays[i], &bytes, why);
		if (r == 0)
			r = write_file(path, &bytes, why);
	}
	return r;
}

static int write_json(const char *directory, const char *json, struct buffer *why)
{
	_cleanup_free_ char *path = path_join(directory, "case.json");
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	buffer_puts(&text, json);
	return write_file(path, &text, why);
}

static int put_in_place(const char *made, const char *directory, struct buffer *why)
{
	if (rename(made, directory) == 0)
		return 0;
	if (errno == ENOTEMPTY || errno == ENOTDIR)
		errno = EEXIST;
	buffer_printf(why, "cannot make %s: %s", directory, strerror(errno));
	return -errno;
}

int case_fill(const char *directory, const struct array *in, size_t n_in, const struct array *out, size_t n_out,
	      const char *json, struct buffer *why)
{
	int r = write_side(directory, CASE_IN, in, n_in, why);

	if (r == 0)
		r = write_side(directory, CASE_OUT, out, n_out, why);
	if (r == 0 && json)
		r = write_json(directory, json, why);
	return r;
}

int case_write(const char *directory, const struct array *in, size_t n_in, const struct array *out, size_t n_out,
	       const char *json, struct buffer *why)
{
	_cleanup_free_ char *made = xasprintf("%s.%d.new", directory, (int)getpid());
	int r = case_fill(made, in, n_in, out, n_out, json, why);

	if (r == 0)
		r = put_in_place(made, directory, why);
	if (r < 0)
		file_remove_tree(made);
	return r;
}

static int narrow(struct array *a)
{
	struct array wide = *a;
	int r = array_allocate(a, wide.size / 2);

	if (r < 0)
		return r;
	array_narrow(DEVSERVE_BF16, (const float *)wide.data, a->data, wide.size / sizeof(float));
	a->dtype = DEVSERVE_BF16;
	free(wide.data);
	return 0;
}

int case_read(const char *directory, const char *side, uint32_t dtype, struct array *a, struct buffer *why)
{
	_cleanup_free_ char *path = case_path(directory, side, a->name);
	int r = npy_read(path, a, why);

	if (r == 0 && dtype == DEVSERVE_BF16 && a->dtype == DEVSERVE_FP32)
		r = narrow(a);
	if (r < 0 || a->dtype == dtype)
		return r;
	buffer_printf(why, "%s holds %s; the deployment has %s", path, dtype_name(a->dtype), dtype_name(dtype));
	return -EINVAL;
}
