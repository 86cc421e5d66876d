/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method
 *
 * Those that mean something here; the others that HTTP knows are METHOD_OTHER.
 */

enum method {
	METHOD_OTHER,
	METHOD_CONNECT,
	METHOD_DELETE,
	METHOD_GET,
	METHOD_HEAD,
	METHOD_OPTIONS,
	METHOD_PATCH,
	METHOD_POST,
	METHOD_PUT,
	N_METHODS
};

enum method method_of(const char *name);

const char *method_name(enum method m); /* "GET"; "" of METHOD_OTHER */
