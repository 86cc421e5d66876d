/* SPDX-License-Identifier: MIT */
#include "cli/client.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/json_reader.h"
#include "cli/names.h"
#include "http/url.h"

static int parse_url(struct client *c, const char *url, struct buffer *why)
{
	struct url u;

	if (url_read(url, &u) < 0) {
		buffer_printf(why, "'%s' is not a URL such as " CLIENT_DEFAULT_URL, url);
		return EXIT_USAGE;
	}
	free(c->url);
	free(c->host);
	c->host = xstrndup(u.host, u.host_size);
	c->port = u.port;
	c->url = xasprintf(strchr(c->host, ':') ? "http://[%s]:%u" : "http://%s:%u", c->host,
			   c->port);
	return 0;
}

static bool is_loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       strncmp(host, "127.", 4) == 0;
}

static bool is_same_server(const struct client *a, const struct client *b)
{
	return a->port == b->port && (strcasecmp(a->host, b->host) == 0 ||
				      (is_loopback(a->host) && is_loopback(b->host)));
}

/* A token goes into a header: one that could end the line is none. */
static char *checked_token(const char *token)
{
	if (!token || !*token)
		return NULL;
	for (const char *c = token; *c; c++)
		if (!isgraph((unsigned char)*c))
			return NULL;
	return xstrdup(token);
}

/* Fills what the file knows; a file that isn't there or isn't whole knows nothing. */
static void read_run_file(struct client *c, const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, why = BUFFER_NULL;
	struct json_reader *r = NULL;
	const char *url;
	double pid = 0;

	if (file_read(path, &text) < 0 || !text.size ||
	    json_reader_new(text.data, text.size, &r) < 0)
		return;
	url = json_reader_string(r, "/url");
	if (url && parse_url(c, url, &why) == 0)
		c->run_file = xstrdup(path);
	if (json_reader_number(r, &pid, "/pid") && pid > 0 && pid <= INT32_MAX)
		c->pid = (int)pid;
	c->token = checked_token(json_reader_string(r, "/token"));
	json_reader_free(r);
}

/* The token of a file that is a run.json, or nothing but the token. */
static char *token_in(const char *path, struct buffer *text)
{
	_cleanup_client_ struct client run = CLIENT_NULL;

	if (!text->size)
		return NULL;
	if (text->data[0] == '{')
		read_run_file(&run, path);
	text->data[strcspn(text->data, " \r\n")] = '\0';
	return run.token ? xstrdup(run.token) : checked_token(text->data);
}

static void read_token_file(struct client *c, const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r;

	if (!path || !*path)
		return;
	r = file_read_any(path, &text);
	if (r == 0)
		c->token = token_in(path, &text);
	if (r < 0)
		c->token_why = xasprintf("%s: %s", path, strerror(-r));
	else if (!c->token)
		c->token_why = xasprintf("%s, which holds none", path);
}

/* The root that @directory is a deployment of; free(). NULL: none that is known of, for any directory may be one. */
static char *root_around(const char *directory)
{
	_cleanup_free_ char *real = realpath(directory, NULL), *usual = realpath(OPTIONS_DEFAULT_ROOT, NULL);
	_cleanup_free_ char *around = real ? path_join(real, "..") : NULL;
	char *root = around ? realpath(around, NULL) : NULL;
	_cleanup_free_ char *state = root ? state_directory(root, NULL) : NULL;

	if (state && (file_is_directory(state) || (usual && strcmp(root, usual) == 0)) && names_root_has(root, path_name(real)))
		return root;
	free(root);
	return NULL;
}

/* Who names a directory means its server, not whichever answers at the usual port. */
static int refuse_root(const char *root, const char *path, struct buffer *why)
{
	_cleanup_free_ char *around = root_around(root);

	if (around)
		buffer_printf(why, "no server runs for %s: it is a deployment of %s, so name that", root, around);
	else if (file_is_directory(root))
		buffer_printf(why, "no server runs for %s: there is no %s; 'devserve %s' starts one", root,
			      path, root);
	else
		buffer_printf(why, "there is no directory %s", root);
	if (!file_exists(root) && names_root_has(OPTIONS_DEFAULT_ROOT, root))
		buffer_puts(why, ", but a deployment; 'devserve status' shows it among all");
	return EXIT_UNAVAILABLE;
}

int client_find(const struct client_options *o, struct client *ret, struct buffer *why)
{
	_cleanup_free_ char *directory = state_directory(o->root ? o->root : OPTIONS_DEFAULT_ROOT, o->state_dir);
	_cleanup_free_ char *path = path_join(directory, "run.json");
	_cleanup_client_ struct client run = CLIENT_NULL;
	struct client c = CLIENT_NULL;
	int r;

	read_run_file(&run, path);
	if (o->root && !o->url && !run.run_file)
		return refuse_root(o->root, path, why);
	r = parse_url(&c, o->url ? o->url : run.run_file ? run.url : CLIENT_DEFAULT_URL, why);
	if (r != 0)
		return r;
	c.start = o->root ? xasprintf("devserve %s", o->root) : xstrdup("devserve");
	read_token_file(&c, getenv("DEVSERVE_TOKEN_FILE"));
	if (run.run_file && is_same_server(&c, &run)) {
		if (!c.token && run.token)
			c.token = xstrdup(run.token);
		c.run_file = xstrdup(run.run_file);
		c.pid = run.pid;
	}
	*ret = c;
	return 0;
}

int client_run(const struct command *command, const void *options, client_ask_fn ask)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	int r = client_find(options, &client, &why);

	if (r == EXIT_USAGE)
		return cli_usage_error(command, &why);
	if (r == 0)
		r = ask(options, &client, &why);
	if (why.size)
		cli_error(&why);
	return r;
}

void client_fini(struct client *c)
{
	free(c->url);
	free(c->host);
	free(c->token);
	free(c->run_file);
	free(c->start);
	free(c->token_why);
	*c = (struct client)CLIENT_NULL;
}

void client_put_path(struct buffer *ret, const char *name)
{
	for (const char *c = name; *c; c++) {
		if (isalnum((unsigned char)*c) || strchr("._-", *c))
			buffer_putc(ret, *c);
		else
			buffer_printf(ret, "%%%02X", (unsigned char)*c);
	}
}

void client_put_control(struct buffer *ret, const char *what, const char *name)
{
	buffer_printf(ret, "/-/%s?deployment=", what);
	client_put_path(ret, name);
}
