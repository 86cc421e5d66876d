/* SPDX-License-Identifier: MIT */
#include "infer/status.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(status, has_the_codes_that_its_header_lists)
{
	static const struct {
		enum infer_status status;
		int http, grpc;
	} all[] = {
		{ INFER_OK, 200, 0 },           { INFER_INVALID, 400, 3 },
		{ INFER_NOT_FOUND, 404, 5 },    { INFER_TOO_LARGE, 413, 8 },
		{ INFER_INTERNAL, 500, 13 },    { INFER_UNSUPPORTED, 501, 12 },
		{ INFER_UNAVAILABLE, 503, 14 }, { INFER_TIMEOUT, 504, 4 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		cr_expect_eq(infer_status_http(all[i].status), all[i].http);
		cr_expect_eq(infer_status_grpc(all[i].status), all[i].grpc);
	}
}

Test(status, of_what_infer_returned_is_what_the_deployment_header_promises)
{
	cr_expect_eq(infer_status_from_errno(0), INFER_OK);
	cr_expect_eq(infer_status_from_errno(-EINVAL), INFER_INVALID);
	cr_expect_eq(infer_status_from_errno(-ERANGE), INFER_INVALID);
	cr_expect_eq(infer_status_from_errno(-EAGAIN), INFER_UNAVAILABLE);
	cr_expect_eq(infer_status_from_errno(-ENOSYS), INFER_UNSUPPORTED);
	cr_expect_eq(infer_status_from_errno(-EIO), INFER_INTERNAL);
	cr_expect_eq(infer_status_from_errno(-ENOMEM), INFER_INTERNAL);
	cr_expect_eq(infer_status_from_errno(22), INFER_INTERNAL);
}
