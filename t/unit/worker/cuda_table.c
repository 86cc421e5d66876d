/* SPDX-License-Identifier: MIT */

/* An image that was built for a host with more functions than the one that runs it. */

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>

#include <devserve/ext/cuda.h>

static struct devserve_cuda_extension table;
static char said[256];

static void log_line(const struct devserve_host *host, int level, const char *format, ...)
{
	va_list args;

	(void)host, (void)level;
	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

static const void *extension(const struct devserve_host *host, const char *id)
{
	(void)host, (void)id;
	return &table;
}

static void *some_handle(const struct devserve_host *host)
{
	(void)host;
	return said;
}

static const struct devserve_host host = {
	.struct_size = sizeof(host),
	.log = log_line,
	.extension = extension,
};

Test(cuda_table, a_handle_that_the_host_has_is_given)
{
	table.extension.struct_size = sizeof(table);
	table.blaslt = some_handle;
	cr_assert_eq(devserve_cuda_blaslt(&host), said);
	cr_assert_eq(said[0], '\0');
}

Test(cuda_table, what_a_shorter_table_lacks_is_null_and_a_sentence)
{
	table.extension.struct_size = offsetof(struct devserve_cuda_extension, blaslt);
	table.blaslt = some_handle; /* beyond its end */
	cr_assert_null(devserve_cuda_blaslt(&host));
	cr_assert_str_eq(said, "this devserve is too old for devserve_cuda_blaslt()");
}
