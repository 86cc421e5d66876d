/* SPDX-License-Identifier: MIT */

/* Any bytes are inspected; what is accepted is printed, so that the pages are tried too. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "image/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct image_info info = { .signature = NULL };
	struct buffer text = BUFFER_NULL;
	int r = image_inspect_bytes(bytes, size, &info, &text);

	assert(r >= 0 && (r > 0) == (text.size > 0));
	if (r == 0) {
		image_info_text(&info, "fuzz", &text);
		image_info_json(&info, "fuzz", &text);
		image_info_fini(&info);
	}
	buffer_fini(&text);
	return 0;
}
