/* SPDX-License-Identifier: MIT */

/* What NVRTC's log says of the expressions that it doesn't know, whatever it is: a reason on one line, once each. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "nvrtc/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *options[] = { "--devserve-kernel=scal<float, 4>", "-lineinfo", "--devserve-kernel=table",
				  "--devserve-kernel=table" };
	_cleanup_free_ char *log = xstrndup((const char *)bytes, size);
	size_t dropped, n_reasons = 0;
	struct names n;

	assert(names_take(&n, options, 4) == 1 && n.n == 3);
	dropped = names_drop_unknown(&n, log);
	assert(names_drop_unknown(&n, log) == 0);
	for (size_t i = 0; i < n.n; i++) {
		n_reasons += n.at[i].reason != NULL;
		assert(!n.at[i].reason || !strchr(n.at[i].reason, '\n'));
		free(n.at[i].reason);
	}
	assert(n_reasons == dropped);
	assert(!dropped || strstr(log, "__nv_name_map("));
	free(n.at);
	return 0;
}
