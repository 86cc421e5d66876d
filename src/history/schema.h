/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Schema
 *
 * What is in history.db. Hashes are 32 hex digits, times milliseconds since 1970.
 */

/* Tells our files from those of other programs ("dvsv"), and one version of them from another. */
#define SCHEMA_APPLICATION 0x64767376
#define SCHEMA_VERSION 1

/* For an empty file. */
extern const char schema_sql[];
