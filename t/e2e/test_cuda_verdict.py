# SPDX-License-Identifier: MIT
"""Whether a kernel became faster is told as for other code, by the GPU's own clock. The fake driver takes the
time that its sources say (t/fake/libcuda.c): it shows what is called in which order, and that a slower
kernel is told so. How well a real GPU is judged is bench/gpu's business."""

import re

import pytest

from gpu import fake, gpu, needs_toolkit, without_gpu  # noqa: F401, fixtures
from kernels import request

pytestmark = needs_toolkit


def kernel(loops, extra=""):
    """One whose time is that of `loops` turns, on a GPU and to the fake; what it answers is the same with any."""
    return f"""\
extern "C" __global__ void turn(float *y, const float *x, int n)
{{
	float v = x[0];

	for (int i = 0; i < {loops}; i++)
		v = fmaf(v, 0.5f, 1.0f);
	if (threadIdx.x < n)
		y[threadIdx.x] = v;
}}

extern "C" __global__ void fake_takes_{loops}() {{}}
{extra}"""


def host(blocks=1):
    return f"""\
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>
#include <devserve/ext/work.h>

static int create(const struct devserve_host *host, void **self)
{{
	*self = devserve_cuda_allocate(host, 12345);
	return *self ? 0 : -1;
}}

static int infer(const struct devserve_call *call)
{{
	return devserve_launch(call->host, "turn", devserve_xyz({blocks}, 1, 1), devserve_xyz(64, 1, 1), 0, call->out[0].data,
			       call->in[0].data, (int)devserve_count(&call->in[0]));
}}

static void work(const struct devserve_call *call, struct devserve_work *ret)
{{
	ret->flops = 1e6 * (double)devserve_count(&call->in[0]);
}}

DEVSERVE_CUDA()
DEVSERVE_WORK(work)

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_FP32, {{ -1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_FP32, {{ -1 }} }}),
	.shape = DEVSERVE_SAME_SHAPE,
	.create = create,
	.infer = infer,
	.extensions = {{ DEVSERVE_CUDA_EXTENSION, DEVSERVE_WORK_EXTENSION }},
)
"""


@pytest.fixture
def one(root, gpu):
    root.write("one/kernel.cu", kernel(20000))
    root.write("one/one.c", host())
    server = gpu()
    assert server.infer("one", request(X=[1, 2])).status == 200
    return server


def verdict(server, name, text):
    mark = server.mark()
    done = server.save(name, text)
    assert done["outcome"] == "swapped", done
    return server.wait("verdict", mark, deployment="one", generation=done["generation"])


def is_busy(told):
    return told["verdict"] == "UNSURE" and "busy" in told.get("reason", "")


def test_a_kernel_that_takes_twice_as_long_is_slower_and_the_way_back_faster(one):
    told = verdict(one, "one/kernel.cu", kernel(40000))
    assert is_busy(told) or (told["verdict"] == "SLOWER" and 0.45 < told["ratio"] < 0.6 and told["gpu"]), told
    told = verdict(one, "one/kernel.cu", kernel(20000))
    assert is_busy(told) or (told["verdict"] == "FASTER" and 1.7 < told["ratio"] < 2.2 and told["gpu"]), told
    assert is_busy(told) or told["mappings"] > 1, told


def test_the_same_kernel_in_other_bytes_is_neither(one):
    told = verdict(one, "one/kernel.cu", kernel(20000, 'extern "C" __global__ void other(int *y) { *y = 7; }'))
    assert told["verdict"] in ("SAME", "UNSURE"), told


def test_what_it_does_a_second_is_told_without_a_processor_s_peaks(one):
    told = verdict(one, "one/kernel.cu", kernel(30000))
    if not is_busy(told):
        (work,) = [i["work"] for i in told["inputs"]]
        assert work["gflops"] > 0 and "gflops_share" not in work, told


# What the GPU is told, with the fake


@pytest.fixture
def measured(root, fake):
    """The calls of the worker that measured a save."""
    root.write("one/kernel.cu", kernel(20000))
    root.write("one/one.c", host())
    server = fake()
    assert server.infer("one", request(X=[1, 2])).status == 200

    def save(name, text):
        told = verdict(server, name, text)
        if is_busy(told):
            pytest.skip("the machine is too busy for a verdict")
        (pid,) = [p for p in server.cuda_pids() if "elapsed" in server.calls(p)]
        return server.calls(pid)

    return save


@without_gpu
def test_each_call_is_timed_with_its_operands_there_and_the_cache_overwritten(measured):
    calls = measured("one/kernel.cu", kernel(25000))
    call = ["copy in 8", "fill 1048576 with 0", "record", "launch turn 1x1x1 64x1x1 0", "record", "record", "wait", "wait for event", "elapsed"]
    first = calls.index("elapsed") + 1
    steady = [c for c in calls[first:] if not c.startswith(("allocate", "free", "pin"))]
    n = len(steady) // len(call)
    assert n > 10 and steady[:n * len(call)] == n * call, steady[:20]
    assert not any(c.startswith("copy out") for c in calls)


@without_gpu
def test_generations_of_one_host_code_share_it_when_they_are_timed(measured):
    calls = measured("one/kernel.cu", kernel(25000))
    assert calls.count("allocate 12345") == 1, "create() is not run again"
    assert calls.count("load library") >= 2 and calls.count("context") == 1, calls[:20]


@without_gpu
def test_old_and_new_take_turns_a_b_b_a(measured):
    calls = measured("one/one.c", host(blocks=2))
    assert calls.count("allocate 12345") > 1, "another host code creates its own"
    # A turn is a row of calls of one generation: 50 us' worth, which is two.
    launches = "".join(re.findall(r"launch turn (\d)x", "\n".join(calls)))
    turns = [launches[-i - 2:len(launches) - i] for i in range(0, len(launches) // 2 * 2, 2)]
    rounds = [sorted(turns[i:i + 4]) for i in range(0, len(turns) // 4 * 4, 4)][:10]
    assert all(r == ["11", "11", "22", "22"] for r in rounds), launches[-80:]
    assert all(turns[i] == turns[i + 3] and turns[i + 1] == turns[i + 2] for i in range(0, 40, 4)), launches[-80:]


def test_what_is_replayed_as_a_graph_is_timed_as_well(root, gpu):
    graphs = host().replace("DEVSERVE_CUDA()", "DEVSERVE_CUDA(.graphs = 1)")
    root.write("one/kernel.cu", kernel(20000))
    root.write("one/one.c", graphs)
    server = gpu()
    assert server.infer("one", request(X=[1, 2])).status == 200
    told = verdict(server, "one/kernel.cu", kernel(40000))
    assert is_busy(told) or (told["verdict"] == "SLOWER" and 0.45 < told["ratio"] < 0.6), told


@without_gpu
def test_an_image_that_its_gpu_cannot_time_has_the_other_timed_from_outside_as_well(root, fake):
    root.write("one/kernel.cu", kernel(3000000))
    root.write("one/mixed.cu", "__global__ void unused(int *y) { *y = 1; }\n\nvoid never(int *y)\n{\n\tunused<<<1, 1>>>(y);\n}\n")
    root.write("one/one.c", host())
    server = fake()
    assert server.infer("one", request(X=[1, 2])).status == 200
    plain = re.sub(r"\treturn devserve_launch.*?;\n", "\tmemcpy(call->out[0].data, call->in[0].data, call->in[0].size);\n\treturn 0;\n",
                   "#include <string.h>\n" + host(), flags=re.S)
    told = verdict(server, "one/one.c", plain.replace("DEVSERVE_CUDA_EXTENSION, ", ""))
    assert "gpu" not in told, told
    assert is_busy(told) or told["ratio"] < 200, "not the three milliseconds that its GPU's clock says: " + str(told)
