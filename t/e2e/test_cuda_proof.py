# SPDX-License-Identifier: MIT
"""Saves of CUDA deployments prove themselves as those of others do: in the trial, against golden cases and
what clients asked, and in `devserve test` and `replay`. The kernel adds to the bits of its floats, which the
fake driver does as well (t/fake/libcuda.c): all of this runs on a GPU and without."""

import json

import numpy as np
import pytest

from devserve import devserve
from gpu import ENV, GPU, fake, gpu, needs_toolkit  # noqa: F401, fixtures
from kernels import accept, request

pytestmark = needs_toolkit


def kernel(bits, extra=""):
    return f"""\
extern "C" __global__ void add(int *y, const int *x, int n)
{{
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		y[i] = x[i] + {bits};
}}

extern "C" __global__ void fake_adds_{bits}() {{}}
{extra}"""


# To the fake a kernel that says nothing of itself writes nothing.
SHORT = """\
extern "C" __global__ void add(int *y, const int *x, int n)
{
	for (int i = threadIdx.x; i < n - 1; i += blockDim.x)
		y[i] = x[i];
}
"""

WILD = """
extern "C" __global__ void wild(int *y, const int *x, int n)
{
	y[1ll << 40] = x[n];
}
"""

HOST = """\
#include <devserve/deployment.h>
#include <devserve/ext/check.h>
#include <devserve/ext/cuda.h>
#include <devserve/ext/reference.h>

static int infer(const struct devserve_call *call)
{
	return devserve_launch(call->host, "add", devserve_xyz(1, 1, 1), devserve_xyz(64, 1, 1), 0, call->out[0].data,
			       call->in[0].data, (int)devserve_count(&call->in[0]));
}
EXTRA
DEVSERVE_CUDA()

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION EXTENSIONS },
)
"""

REFERENCE = """
static int reference(const struct devserve_call *call)
{
	for (size_t i = 0; i < devserve_count(&call->in[0]); i++)
		((double *)call->out[0].data)[i] = ((const float *)call->in[0].data)[i];
	return 0;
}

DEVSERVE_REFERENCE(reference)
"""

CHECK = """
static int check(const struct devserve_host *host, void *self)
{
	int *y = devserve_cuda_scratch(host, 64);

	(void)self;
	return y ? devserve_launch(host, "add", devserve_xyz(1, 1, 1), devserve_xyz(64, 1, 1), 0, y, (const int *)y, 4) : -1;
}

DEVSERVE_CHECK(check)
"""


def host(extra="", extensions=""):
    return HOST.replace("EXTRA", extra).replace("EXTENSIONS", extensions)


def write(root, bits=0, extra="", extensions=""):
    root.write("k/kernel.cu", kernel(bits, WILD))
    root.write("k/k.c", host(extra, extensions))


def golden(root, case, x, y):
    for side, name, array in (("in", "X", x), ("out", "Y", y)):
        directory = root.path / "k/golden" / case / side
        directory.mkdir(parents=True)
        np.save(directory / f"{name}.npy", np.array(array, np.float32))


def test_a_kernel_that_answers_otherwise_is_stopped_and_the_old_one_serves_on(root, gpu):
    write(root)
    server = gpu("--gate", "replay")
    assert server.infer("k", request(X=[1, 2, 3])).output() == [1, 2, 3]
    pids = server.worker_pids("k")
    done = server.save("k/kernel.cu", kernel(100000))
    assert done["outcome"] == "trial-failed", done
    fault = done["proof"]["fault"]
    assert (fault["outcome"], fault["output"], fault["place"]) == ("differs", "Y", "[1]"), fault
    assert float(fault["expected"]) == 2 and float(fault["got"]) == pytest.approx(2.02384, abs=1e-4), fault
    answer = server.infer("k", request(X=[1, 2, 3]))
    assert (answer.generation, answer.stale, answer.output()) == (1, "trial-failed", [1, 2, 3]), answer
    assert server.worker_pids("k") == pids
    answer, done = accept(server)
    assert done["outcome"] == "swapped", done
    assert server.infer("k", request(X=[1])).output() == pytest.approx([1.01192], abs=1e-4)


def test_a_kernel_that_answers_nearly_the_same_passes(root, gpu):
    write(root)
    server = gpu("--gate", "replay")
    for n in range(1, 4):
        assert server.infer("k", request(X=[1.5] * n)).status == 200
    done = server.save("k/kernel.cu", kernel(2))
    assert (done["outcome"], done["proof"]["requests"]) == ("swapped", 3), done
    assert 0 < done["proof"]["max_rel"] < 1e-6, done


def test_an_output_on_the_gpu_that_is_left_unwritten_is_seen(root, gpu):
    write(root)
    server = gpu("--gate", "replay")
    assert server.infer("k", request(X=[1, 2, 3])).output() == [1, 2, 3]
    done = server.save("k/kernel.cu", SHORT)
    assert done["outcome"] == "trial-failed" and "infer() left it unwritten" in done["reason"], done


def test_a_step_past_an_output_on_the_gpu_is_seen_and_its_kernel_named(root, gpu):
    write(root)
    server = gpu("--gate", "replay")
    assert server.infer("k", request(X=[1, 2, 3])).status == 200
    done = server.save("k/k.c", host().replace("&call->in[0]));", "&call->in[0]) + 1);"))
    assert done["outcome"] == "trial-failed", done
    assert "wrote 4 bytes past Y FP32[3], in kernel add, grid 1×1×1" in done["reason"], done
    assert server.infer("k", request(X=[1, 2, 3])).generation == 1


def test_a_fault_of_a_kernel_in_the_trial_is_a_crash_of_the_trial_and_named(root, gpu):
    write(root)
    server = gpu("--gate", "replay", **({} if GPU else {"fault": "wild=700"}))
    assert server.infer("k", request(X=[1])).status == 200
    pids, mark = server.worker_pids("k"), server.mark()
    done = server.save("k/k.c", host().replace('"add"', '"wild"'))  # the fake faults by a kernel's name
    assert done["outcome"] == "trial-failed", done
    assert "CUDA_ERROR_ILLEGAL_ADDRESS (700)" in done["reason"] and "kernel wild, grid 1×1×1, block 64×1×1" in done["reason"], done
    assert "X FP32[1]" in done["reason"], done
    assert "kernel wild" in server.wait("crash.report", mark, deployment="k")["what"]
    answer = server.infer("k", request(X=[1]))
    assert (answer.status, answer.generation) == (200, 1) and server.worker_pids("k") == pids, answer
    done = server.save("k/k.c", host() + "\nint again;\n")
    assert done["outcome"] == "swapped", "the next trial has a context that is whole"


def test_a_fault_of_a_kernel_in_check_is_named(root, gpu):
    write(root, extra=CHECK, extensions=", DEVSERVE_CHECK_EXTENSION")
    server = gpu(**({} if GPU else {"fault": "wild=700"}))
    assert server.infer("k", request(X=[1])).status == 200
    done = server.save("k/k.c", host(CHECK.replace('"add"', '"wild"'), ", DEVSERVE_CHECK_EXTENSION"))
    assert done["outcome"] == "trial-failed" and "in kernel wild, grid 1×1×1" in done["reason"], done
    assert server.infer("k", request(X=[1])).generation == 1


def test_numbers_are_judged_by_the_reference_on_the_host(root, gpu):
    write(root, 1000, REFERENCE, ", DEVSERVE_REFERENCE_EXTENSION")
    server = gpu("--gate", "replay")
    assert server.infer("k", request(X=[1, 2, 3])).status == 200
    done = server.save("k/kernel.cu", kernel(0))
    assert done["outcome"] == "swapped" and done["proof"]["by_reference"] > 0, done
    assert server.infer("k", request(X=[1, 2, 3])).output() == [1, 2, 3]
    done = server.save("k/kernel.cu", kernel(3000))
    assert done["outcome"] == "trial-failed" and "against the reference the error grew from 0 to" in done["reason"], done


def test_golden_cases_are_asked_of_the_gpu(root, gpu):
    write(root)
    golden(root, "ones", [1, 1], [1, 1])
    server = gpu("--gate", "golden")
    assert server.seen("save.done")[0]["proof"]["golden"] == 1
    done = server.save("k/kernel.cu", kernel(100000))
    assert done["outcome"] == "trial-failed" and done["reason"].startswith('golden case "ones": Y[0] is 1.01192'), done


def test_the_commands_test_and_replay_run_it_on_the_gpu(root, gpu):
    write(root)
    golden(root, "ones", [1, 1], [1, 1])
    ran = devserve("test", "--root", root.path, env=ENV)
    assert ran.returncode == 0 and "ones" in ran.stdout, (ran.stdout, ran.stderr)
    root.write("k/kernel.cu", kernel(100000))
    ran = devserve("test", "--root", root.path, env=ENV)
    assert ran.returncode == 4 and "Y[0] is 1.01192" in ran.stdout, (ran.stdout, ran.stderr)

    root.write("k/kernel.cu", kernel(0))
    server = gpu("--gate", "replay")
    assert server.infer("k", request(X=[1, 2])).status == 200
    fault = server.save("k/kernel.cu", kernel(100000))["proof"]["fault"]
    ran = devserve("replay", str(fault["replay"]), "--root", root.path, "--json", env=ENV)
    said = json.loads(ran.stdout)
    assert ran.returncode == 1, (ran.stdout, ran.stderr)
    assert "1.01192" in json.dumps(said), said
