/* SPDX-License-Identifier: MIT */
#include "cli/written.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/client.h"
#include "serve/run_file.h"

#define TIMEOUT_MS 5000

bool cli_await_history(const char *root, const char *state_dir)
{
	_cleanup_free_ char *directory = state_directory(root, state_dir);
	_cleanup_buffer_ struct buffer body = BUFFER_NULL, why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	const struct client_options o = { .root = root, .state_dir = state_dir };
	char url[256];
	int status;

	if (!run_file_owner(directory, url))
		return false;
	if (client_find(&o, &client, &why) == 0)
		client_get(&client, "/-/written", TIMEOUT_MS, &status, &body, &why);
	return true; /* a server that is busy, or another version, is no reason not to read */
}
