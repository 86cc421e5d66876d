/* SPDX-License-Identifier: MIT */
#include "http/method.h"

#include <string.h>

static const char *const names[N_METHODS] = {
	[METHOD_OTHER] = "",	   [METHOD_CONNECT] = "CONNECT", [METHOD_DELETE] = "DELETE",
	[METHOD_GET] = "GET",	   [METHOD_HEAD] = "HEAD",	 [METHOD_OPTIONS] = "OPTIONS",
	[METHOD_PATCH] = "PATCH",  [METHOD_POST] = "POST",	 [METHOD_PUT] = "PUT",
};

enum method method_of(const char *name)
{
	for (unsigned m = METHOD_OTHER + 1; m < N_METHODS; m++)
		if (strcmp(names[m], name) == 0)
			return m;
	return METHOD_OTHER;
}

const char *method_name(enum method m)
{
	return names[m];
}
