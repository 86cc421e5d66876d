/* SPDX-License-Identifier: MIT */
#include "infer/status.h"

#include <errno.h>

static const struct {
	int http, grpc;
} codes[] = {
	[INFER_OK] = { 200, 0 },
	[INFER_INVALID] = { 400, 3 },
	[INFER_NOT_FOUND] = { 404, 5 },
	[INFER_TOO_LARGE] = { 413, 8 },
	[INFER_INTERNAL] = { 500, 13 },
	[INFER_UNSUPPORTED] = { 501, 12 },
	[INFER_UNAVAILABLE] = { 503, 14 },
	[INFER_TIMEOUT] = { 504, 4 },
};

int infer_status_http(enum infer_status s)
{
	return codes[s].http;
}

int infer_status_grpc(enum infer_status s)
{
	return codes[s].grpc;
}

enum infer_status infer_status_from_errno(int r)
{
	switch (r) {
	case 0:
		return INFER_OK;
	case -EINVAL:
	case -ERANGE:
		return INFER_INVALID;
	case -EAGAIN:
		return INFER_UNAVAILABLE;
	case -ENOSYS:
		return INFER_UNSUPPORTED;
	default:
		return INFER_INTERNAL;
	}
}
