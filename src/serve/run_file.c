/* SPDX-License-Identifier: MIT */
#include "serve/run_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/process.h"

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

/* Whether @pid is a devserve: numbers are given again. */
static bool is_server(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/comm", (int)pid);
	_cleanup_buffer_ struct buffer name = BUFFER_NULL;

	return process_is_alive(pid) && pid != getpid() && file_read(path, &name) == 0 &&
	       strcmp(buffer_text(&name), "devserve\n") == 0;
}

pid_t run_file_owner(const char *state_dir, char ret_url[256])
{
	_cleanup_free_ char *path = path_join(state_dir, "run.json");
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	const char *url, *pid;
	int number = 0;

	if (file_read(path, &json) < 0)
		return 0;
	url = strstr(buffer_text(&json), "\"url\":\"");
	pid = strstr(buffer_text(&json), "\"pid\":");
	if (!url || !pid || sscanf(url, "\"url\":\"%255[^\"]", ret_url) != 1 ||
	    sscanf(pid, "\"pid\":%d", &number) != 1)
		return 0;
	return is_server(number) ? number : 0;
}

void run_file_remove(const char *state_dir, const char *token)
{
	_cleanup_free_ char *path = path_join(state_dir, "run.json");
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	if (file_read(path, &json) == 0 && strstr(buffer_text(&json), token))
		unlink(path);
}
