/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * News
 *
 * What deploy tells of its workers, as events for people and programs.
 */

#include "deploy/deploy.h"

struct events;
struct log;
struct plugins;
struct reports;

/* All borrowed; `reports` and `log` may be NULL once the server ends. */
struct news {
	struct events *events;
	struct log *log;
	struct reports *reports;
	struct plugins *plugins;
};

/* They live as long as @n, which may still be empty. */
struct deploy_callbacks news_callbacks(struct news *n);
