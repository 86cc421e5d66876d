/* SPDX-License-Identifier: MIT */
#include "serve/run_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

int token_make(char ret[TOKEN_SIZE])
{
	unsigned char bytes[(TOKEN_SIZE - 1) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -errno;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

int run_file_write(const char *state_dir, const char *url, const char *token, const char *version)
{
	_cleanup_free_ char *path = path_join(state_dir, "run.json");
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_string(&json, "url", url);
	json_string(&json, "token", token);
	json_int(&json, "pid", getpid());
	json_string(&json, "version", version);
	json_object_end(&json);
	buffer_putc(&json, '\n');
	return file_write(path, json.data, json.size, 0600);
}

void run_file_remove(const char *state_dir, const char *token)
{
	_cleanup_free_ char *path = path_join(state_dir, "run.json");
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	if (file_read(path, &json) == 0 && strstr(buffer_text(&json), token))
		unlink(path);
}
