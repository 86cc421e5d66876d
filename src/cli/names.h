/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names
 *
 * Of deployments: what a command looks for while somebody types, and what it says of a name
 * that nothing has.
 */

#include <stdbool.h>

struct buffer;
struct client;

/* A deployment that a root has by the look of it: its name is valid during the call. */
typedef void (*name_fn)(void *context, const char *name);

/* Those of the directory @root; what a deployment.yaml calls them isn't looked at. */
void names_of_root(const char *root, name_fn on_name, void *context);

bool names_root_has(const char *root, const char *name);

/* Append "there is no deployment 'rleu'; did you mean 'relu'?". The server is asked for those there are. */
void names_refuse(const struct client *c, const char *name, struct buffer *why);
/* The same for those of the directory @root, which is named. */
void names_refuse_in_root(const char *root, const char *name, struct buffer *why);
