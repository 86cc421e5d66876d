# SPDX-License-Identifier: MIT
"""Deployments of floats, what they are asked, and saves of them that are accepted."""

import numpy as np


def fp32(name, array):
    array = np.asarray(array, np.float32)
    return {"name": name, "datatype": "FP32", "shape": list(array.shape), "data": array.ravel().tolist()}


def request(**inputs):
    return {"inputs": [fp32(name, array) for name, array in inputs.items()]}


def unary(body, extra="", entry=""):
    """X FP32[n] → Y FP32[n]; `body` has x, y and n."""
    return f"""\
#include <devserve/deployment.h>
#include <math.h>
#include <stdlib.h>
{extra}
static int infer(const struct devserve_call *call)
{{
	const float *x = (const float *)call->in[0].data;
	float *y = (float *)call->out[0].data;
	size_t n = devserve_count(&call->in[0]);

{body}
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_FP32, {{ -1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_FP32, {{ -1 }} }}),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
	{entry}
)
"""


def accept(server, name="k"):
    client = server.new_client()
    client.token = server.run_json()["token"]
    mark = server.mark()
    answer = client.call("POST", f"/-/accept?deployment={name}", b"")
    return answer, server.wait("save.done", mark) if answer.status == 200 else None
