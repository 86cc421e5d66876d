/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The outcome of a request, and its one table of transport codes.
 *
 *	                 HTTP  gRPC
 *	OK                200  OK
 *	INVALID           400  INVALID_ARGUMENT     the request is wrong
 *	NOT_FOUND         404  NOT_FOUND            no such deployment or version
 *	TOO_LARGE         413  RESOURCE_EXHAUSTED
 *	INTERNAL          500  INTERNAL             the deployment failed
 *	UNSUPPORTED       501  UNIMPLEMENTED
 *	UNAVAILABLE       503  UNAVAILABLE          loading, queue full: try again
 *	TIMEOUT           504  DEADLINE_EXCEEDED
 */

enum infer_status {
	INFER_OK,
	INFER_INVALID,
	INFER_NOT_FOUND,
	INFER_TOO_LARGE,
	INFER_INTERNAL,
	INFER_UNSUPPORTED,
	INFER_UNAVAILABLE,
	INFER_TIMEOUT,
};

int infer_status_http(enum infer_status s);
int infer_status_grpc(enum infer_status s);

/* For what infer() of a deployment returned: see the ABI header. */
enum infer_status infer_status_from_errno(int r);
