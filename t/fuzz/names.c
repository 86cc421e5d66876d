/* SPDX-License-Identifier: MIT */

/* What NVRTC's process says of the kernels that are asked for by expressions, whatever it is: names of ours only. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/build.h"
#include "build/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static char scale[] = "scale<float, 4>", table[] = "table";
	static char *kernels[] = { scale, table, NULL };
	static unsigned lines[] = { 3, 4 };
	static const struct recipe recipe = { .kernels = kernels, .kernel_lines = lines };
	_cleanup_free_ char *text = xstrndup((const char *)bytes, size);
	_cleanup_buffer_ struct buffer rest = BUFFER_NULL, put = BUFFER_NULL;
	struct names n;

	names_init(&n, &recipe);
	names_read(&n, text, &rest);
	assert(rest.size <= strlen(text) + 1); /* a last line gets its end */
	for (size_t i = 0; i < n.n_symbols; i++) {
		const char *found = names_found_kernel(&n, n.symbols[i].text);

		assert(found == scale || found == table);
		assert(n.symbols[i].text[0] && !strpbrk(n.symbols[i].text, "\t\n"));
	}
	names_put(&n, &put);
	assert((put.size > 0) == (n.n_symbols > 0));
	names_fini(&n);
	return 0;
}
