/* SPDX-License-Identifier: MIT */

/* Any bytes are a deployment.yaml, or a mistake that has a sentence. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct config c;
	unsigned line;
	int r = config_parse((const char *)bytes, size, &c, &line, &why);

	assert(r == 0 || r == 1);
	assert((r == 1) == (why.size > 0));
	assert(!c.name || config_name_is_good(c.name));
	assert(c.num_replicas >= 1 && c.num_replicas <= 16 && c.request_timeout_ms > 0);
	config_fini(&c);
	return 0;
}
