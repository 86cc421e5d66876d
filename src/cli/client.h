/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Client
 *
 * Finds the running server and asks it something, blocking, over HTTP/1.1.
 *
 * The server is the one of --url or DEVSERVE_URL, else the one that wrote run.json in the
 * state directory of ROOT, else, where no root was named, http://127.0.0.1:8000. The token of DEVSERVE_TOKEN_FILE
 * (a run.json, or the bare token) goes to any of them; that of run.json only to the server
 * which wrote it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "serve/options.h"

#define CLIENT_DEFAULT_URL "http://127.0.0.1:8000"

struct command;

struct client {
	char *url;       /* as messages show it */
	char *host;      /* without brackets */
	unsigned port;
	char *token;     /* NULL: none is known */
	char *run_file;  /* where the URL comes from; NULL: not from a file */
	int pid;         /* that run_file names; 0: none */
	char *start;     /* the command that starts a server there */
	char *token_why; /* why DEVSERVE_TOKEN_FILE gives none; NULL: it does, or isn't set */
};

#define CLIENT_NULL { .url = NULL }
#define _cleanup_client_ __attribute__((cleanup(client_fini)))

/* What the commands that ask a server have in common; a row for each in CLIENT_ROWS. */
struct client_options {
	const char *name; /* the operand, where there is one */
	const char *url, *root, *state_dir;
	unsigned timeout; /* seconds */
	bool json, no_color;
};

#define CLIENT_ROW(...) OPTION_ROW(client_options, __VA_ARGS__)
#define CLIENT_ROWS                                                                             \
	CLIENT_ROW(json, "json", 0, NULL, BOOL, NULL, 0, 0, "print the answer as JSON"),        \
	CLIENT_ROW(root, "root", 0, "DIR", DIRECTORY, NULL, 0, 0,                               \
		   "ask the server of that directory (" OPTIONS_DEFAULT_ROOT ")"),              \
	CLIENT_ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0,                     \
		   "what the server was given as --state-dir"),                                 \
	CLIENT_ROW(url, "url", 0, "URL", STRING, NULL, 0, 0, "ask the server there"),           \
	OPTION_HELP_ROW

/*
 * Doesn't connect. 0; EXIT_USAGE for what is no URL, EXIT_UNAVAILABLE for a root that was
 * named and has no server; a sentence in @why.
 */
int client_find(const struct client_options *o, struct client *ret, struct buffer *why);
void client_fini(struct client *c);

/*
 * What a command does that asks a server: finds it, lets @ask do so, and says what is wrong. @options
 * starts with its struct client_options. The status to exit with.
 */
typedef int (*client_ask_fn)(const void *options, const struct client *c, struct buffer *why);
int client_run(const struct command *command, const void *options, client_ask_fn ask);

/* @name as a part of a path or a query. */
void client_put_path(struct buffer *ret, const char *name);
/* "/-/wait?deployment=NAME"; other members of the query may follow. */
void client_put_control(struct buffer *ret, const char *what, const char *name);

struct client_request {
	const char *path;
	uint64_t timeout_ms; /* 0: for ever */
	const char *late;    /* what is said once it is over; NULL: that the server doesn't answer */
	uint64_t longest;    /* answer, in bytes; 0: what any page may be */
	const struct buffer *body; /* NULL: GET; else POST, an inference request */
	size_t json_size;    /* how much of the body is JSON */
};

struct client_answer {
	int status;
	uint32_t generation; /* of the deployment that answered; 0: it doesn't say */
	char stale[32];      /* why its newest save isn't what answered; "": it is */
	size_t json_size;    /* how much of the body is JSON: all, unless it says */
	struct buffer body;
};

#define CLIENT_ANSWER_NULL { .status = 0 }

/*
 * 0 when there is an answer; else the status to exit with and a sentence in @why. An answer
 * that says the token is missing or wrong is such an error.
 */
int client_ask(const struct client *c, const struct client_request *q, struct client_answer *ret,
	       struct buffer *why);

/* The same for a page: status and body, which is appended. */
int client_get(const struct client *c, const char *path, uint64_t timeout_ms, int *ret_status,
	       struct buffer *ret_body, struct buffer *why);

/* A line of the answer, without its end. False: enough. */
typedef bool (*client_line_fn)(void *context, const char *line, size_t size);

/* The same, line by line as they come: for server-sent events. */
int client_follow(const struct client *c, const char *path, uint64_t timeout_ms,
		  client_line_fn on_line, void *context, int *ret_status, struct buffer *why);
