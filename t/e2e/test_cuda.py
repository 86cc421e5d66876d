# SPDX-License-Identifier: MIT
"""Deployments on a GPU. Compiling is real everywhere; where no driver is, a fake one (t/fake/libcuda.c,
which computes nothing) shows in which order the worker calls it, and what it does with errors."""

import contextlib
import json
import os
import pathlib
import subprocess
import threading
import time

import numpy
import pytest

from cuda_driver import Driver
from devserve import BUILD, LONG, constant, devserve, x
from gpu import GPU, fake, needs_toolkit, with_gpu, without_gpu  # noqa: F401, a fixture

pytestmark = needs_toolkit

KERNEL = """\
extern "C" __global__ void twice(int *y, const int *x, int n, float unused)
{
	if (threadIdx.x < n)
		y[threadIdx.x] = FACTOR * x[threadIdx.x];
}

extern "C" __global__ void wild(int *y)
{
	if (y)
		y[1ll << 40] = 1;
}

extern "C" __global__ void forever(volatile int *y)
{
	while (*y != -12345)
		;
}
"""

HOST = """\
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

static int create(const struct devserve_host *host, void **self)
{
	*self = devserve_cuda_allocate(host, 12345);
	return *self ? 0 : -1;
}

static int infer(const struct devserve_call *call)
{
	int n = (int)devserve_count(&call->in[0]);

CALL
}

DEVSERVE_CUDA()

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.create = create,
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""

LAUNCH = """\
	return devserve_launch(call->host, "twice", devserve_xyz(2, 1, 1), devserve_xyz(64, 1, 1), 0,
			       call->out[0].data, call->in[0].data, n, 1.0f);"""


def kernel(factor):
    return KERNEL.replace("FACTOR", str(factor))


def host(call=LAUNCH):
    return HOST.replace("CALL", call)


def wild(name="wild"):
    return f'	(void)n;\n	return devserve_launch(call->host, "{name}", devserve_xyz(3, 2, 1), devserve_xyz(32, 1, 1), 0,\n' \
           "			       call->out[0].data);"


def write(root, factor=2, call=LAUNCH, name="one"):
    root.write(f"{name}/kernel.cu", kernel(factor))
    root.write(f"{name}/{name}.c", host(call))


# A product of FP32 matrices.
LT = """\
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

enum { N = 16, FP32 = 0, IN_FP32 = 68 };

int cublasLtMatmulDescCreate(void **ret, int compute, int scale);
int cublasLtMatrixLayoutCreate(void **ret, int type, uint64_t rows, uint64_t columns, int64_t stride);
int cublasLtMatmul(void *handle, void *product, const void *alpha, const void *a, void *layout_a, const void *b,
		   void *layout_b, const void *beta, const void *c, void *layout_c, void *d, void *layout_d,
		   const void *algorithm, void *workspace, size_t size, void *stream);

static void *product, *layout;

static int create(const struct devserve_host *host, void **self)
{
	(void)self;
	if (!devserve_cuda_blaslt(host))
		return -1;
	return cublasLtMatmulDescCreate(&product, IN_FP32, FP32) || cublasLtMatrixLayoutCreate(&layout, FP32, N, N, N) ? -1 : 0;
}

/* By columns both are transposed: Y^T = W^T X^T. */
static int infer(const struct devserve_call *call)
{
	const float one = 1, zero = 0;
	void *y = call->out[0].data;
	int r = cublasLtMatmul(devserve_cuda_blaslt(call->host), product, &one, call->in[1].data, layout, call->in[0].data,
			       layout, &zero, y, layout, y, layout, NULL, NULL, 0, devserve_cuda_stream(call->host));

	return r ? devserve_fail(call, "cuBLASLt: %d", r) : 0;
}

DEVSERVE_CUDA()

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { N, N } }, { "W", DEVSERVE_FP32, { N, N } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { N, N } }),
	.create = create,
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""


# Without a driver


@without_gpu
def test_without_a_driver_the_deployment_is_unavailable_and_others_serve(root, serve):
    write(root)
    root.write("mixed/mixed.cu", "#include <devserve/deployment.h>\n__global__ void k() {}\n" + constant(3, "void go() { k<<<1, 1>>>(); }"))
    root.write("cpu/cpu.c", constant(7))
    server = serve(ready=False)
    server.wait("server.ready")
    assert server.infer("cpu").value == 7
    for name in ("one", "mixed"):
        answer = server.infer(name)
        assert answer.status == 503 and "needs CUDA" in answer.json["error"] and "driver" in answer.json["error"], answer
        assert "Retry-After" not in answer.headers, answer  # no driver comes by waiting
    ready = server.client.call("GET", "/v2/models/one/ready")
    assert ready.status == 503 and "Retry-After" not in ready.headers, ready
    for event in ("trial.failed", "save.done"):  # the compiler's figures take no GPU
        told = server.wait(event, deployment="one")
        assert {k["name"] for k in told["kernels"]} == {"twice", "wild", "forever"}, told


@without_gpu
@pytest.mark.parametrize("before", ("a GPU", "none"))
def test_an_image_that_was_kept_does_not_hide_that_the_gpu_is_missing(root, serve, fake, before):
    if before == "a GPU":
        write(root)
        fake().stop()
    else:
        root.write("one/one.c", constant(7))
        serve().stop()
    write(root, factor=3)
    server = serve(ready=False)
    assert server.wait("save.done", deployment="one")["no_device"] is True
    answer = server.infer("one", x(1))
    if before == "a GPU":  # that one can't serve either
        assert answer.status == 503 and "needs CUDA" in answer.json["error"] and "Retry-After" not in answer.headers, answer
    else:
        assert answer.value == 7, answer


@without_gpu
def test_a_check_without_a_gpu_skips_what_builds_unless_it_is_strict(root):
    write(root)
    root.write("cpu/cpu.c", constant(7))
    check = devserve("check", root.path)
    assert check.returncode == 0 and "skipped, builds: " in check.stdout and "1 of 2 can serve, 1 skipped" in check.stdout, check
    events = [json.loads(line) for line in devserve("check", root.path, "--json").stdout.splitlines()]
    assert [e["no_device"] for e in events if e["event"] == "save.done" and e["deployment"] == "one"] == [True]
    test = devserve("test", "--root", root.path)
    assert test.returncode == 0 and "ok 2 - one: builds and loads # SKIP this deployment needs CUDA" in test.stdout, test
    strict = devserve("check", root.path, "--strict")
    assert strict.returncode == 4 and "fails with --strict" in strict.stdout + strict.stderr, strict
    strict = devserve("test", "--root", root.path, "--strict")
    assert strict.returncode == 4 and "not ok 2 - one: builds and loads\n# this deployment needs CUDA" in strict.stdout, strict


def test_no_program_of_ours_links_to_a_cuda_library():
    for program in ("devserve", "devserve-worker", "devserve-watch", "devserve-debug", "devserve-cuda"):
        said = subprocess.run(["readelf", "-d", BUILD / program], capture_output=True, text=True, check=True).stdout
        needed = [line for line in said.splitlines() if "NEEDED" in line]
        assert needed and not [n for n in needed if "libcu" in n or "libnv" in n], needed


# The order of what the worker does, with the fake


def test_a_call_is_copied_in_computed_copied_out_and_waited_for_once(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")
    before = len(server.calls(pid))
    assert server.infer("one", x(5)).status == 200
    calls = [c for c in server.calls(pid)[before:] if not c.startswith(("allocate", "pin"))]
    assert calls == ["copy in 4", "launch twice 2x1x1 64x1x1 0", "copy out 4", "record", "wait"], calls
    before = len(server.calls(pid))
    assert server.infer("one", x(6)).status == 200
    assert server.calls(pid)[before:] == calls, "in steady state memory is there"


def test_a_save_of_the_device_code_leaves_the_host_code_alone(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")
    before = len(server.calls(pid))
    done = server.save("one/kernel.cu", kernel(3))
    assert (done["outcome"], done["generation"]) == ("swapped", 2), done
    assert {s["name"] for s in done["stages"]} <= {"settle", "wait", "inspect", "nvrtc", "trial", "swap"}, done
    assert server.worker_pids("one") == [pid]
    assert server.infer("one", x(1)).generation == 2
    server.save("one/kernel.cu", kernel(4))
    calls = server.calls(pid)[before:]
    assert calls.count("load library") == 2 and calls.count("context") == 0, calls
    first = calls.index("unload library")
    assert calls[first - 1] == "wait for event" and calls.index("load library") < first, calls
    assert server.calls(pid).count("allocate 12345") == 1, "create() is not run again"
    assert "free" not in calls, "what it allocated stays"
    done = server.save("one/one.c", host() + "\nint more;\n")
    assert done["outcome"] == "swapped", done
    server.save("one/one.c", host() + "\nint still_more;\n")
    assert server.seen("notice") == [] and server.worker_pids("one") == [pid], "the driver's threads aren't the image's"
    assert server.calls(pid).count("allocate 12345") == 3, "but is for new host code"


def test_what_served_before_a_restart_comes_back_with_its_kernels(root, fake):
    write(root)
    server = fake()
    server.save("one/kernel.cu", kernel(3))
    server.stop()
    root.write("one/kernel.cu", kernel("three"))
    server = fake(ready=False)
    server.wait("notice", deployment="one")
    answer = server.infer("one", x(1))
    assert (answer.status, answer.generation) == (200, 2), answer
    (pid,) = server.worker_pids("one")
    assert "load library" in server.calls(pid)


def test_the_report_has_registers_and_what_changed(root, fake):
    write(root)
    server = fake()
    first = server.seen("save.done", deployment="one")[0]
    assert [k["name"] for k in first["kernels"]].count("twice") == 1 and "before" not in first["kernels"][0], first
    text = kernel(3).replace("\tif (threadIdx.x < n)\n\t\ty[threadIdx.x] = ", """\
	__shared__ int s[100];

	s[threadIdx.x] = x[0];
	__syncthreads();
	if (threadIdx.x < n)
		y[threadIdx.x] = s[n - 1 - threadIdx.x] + """)
    done = server.save("one/kernel.cu", text)
    twice = next(k for k in done["kernels"] if k["name"] == "twice")
    assert (twice["shared"], twice["before"]["shared"]) == (400, 0), done
    assert twice["registers"] > 4 and twice["spilled"] == 0, done


def test_after_a_rollback_kernels_are_not_compared_with_what_went(root, fake):
    write(root)
    server = fake()
    server.save("one/kernel.cu", kernel(3))
    client = server.new_client()
    client.token = server.run_json()["token"]
    assert client.call("POST", "/-/rollback?deployment=one", b"").status == 200
    done = server.save("one/kernel.cu", kernel(4))
    assert done["outcome"] == "swapped" and not any("before" in k for k in done["kernels"]), done


def test_a_kernel_that_does_not_compile_changes_nothing(root, fake):
    write(root)
    server = fake()
    done = server.save("one/kernel.cu", kernel("two"))
    assert done["outcome"] == "build-failed" and 'kernel.cu:4' in done["reason"] and '"two" is undefined' in done["reason"], done
    assert server.infer("one", x(1)).stale == "build-failed"


def test_what_ptxas_refuses_is_said_with_the_source_it_is_of(root, fake):
    write(root)
    server = fake()
    done = server.save("one/more.cu", """\
extern "C" __global__ void big(float *y)
{
	__shared__ float s[20000];

	s[threadIdx.x] = y[0];
	__syncthreads();
	y[1] = s[3];
}
""")
    assert done["outcome"] == "build-failed", done
    assert done["reason"].startswith("more.cu: Entry function 'big' uses too much shared data"), done
    done = server.save("one/more.cu", """\
__device__ float elsewhere(float);

extern "C" __global__ void k(float *y)
{
	y[0] = elsewhere(y[1]);
}
""")
    assert done["reason"].startswith("more.cu: Unresolved extern function"), done
    failed = server.seen("build.failed", deployment="one")[-1]
    (note,) = [d["message"] for d in failed["diagnostics"] if d["severity"] == "note"]
    assert note == "each .cu is compiled alone: include the file that has elsewhere(float)", failed
    server.save("one/more.cu", "extern \"C\" __global__ void bad(float *y) { asm volatile(\"bogus.op;\"); }\n")
    failed = server.seen("build.failed", deployment="one")[-1]
    assert {pathlib.Path(d["file"]).name for d in failed["diagnostics"]} == {"more.cu"}, failed


STANDARD = ["stdint.h", "cstdint", "stddef.h", "cstddef", "stdio.h", "cstdio", "assert.h", "cassert", "math.h", "cmath", "limits.h",
            "climits", "float.h", "cfloat", "string.h", "cstring", "stdbool.h"]
USES_STANDARD = """\
struct pair {
	int a, b;
};

extern "C" __global__ void all(float *x)
{
	uint32_t a = UINT32_MAX;
	std::uint64_t b = SIZE_MAX + UINT64_C(3);
	std::size_t c = offsetof(struct pair, b);
	std::nullptr_t nothing = nullptr;

	assert(x != nothing);
	printf("%d\\n", (int)c);
	x[0] = a + b + c + INFINITY + NAN + FLT_MAX + M_PI + CHAR_BIT;
	x[1] = std::sqrt(x[1]) + std::pow(x[1], 2.f) + std::fabs(x[2]) + std::isnan(x[0]) + isnan(x[1]) + std::abs(INT8_MIN);
	std::memcpy(x, x + 3, 4);
#if INT_MAX != 2147483647 || UINT32_MAX != 4294967295u || LONG_MAX < 9223372036854775807 || CHAR_MIN != -128
#error the limits are wrong
#endif
}
"""


def test_a_kernel_may_include_the_usual_headers(root, fake):
    ours = "".join(f"#include <{h}>\n" for h in STANDARD)
    theirs = "".join(f"#include <cuda/std/{h}>\n" for h in STANDARD if "." not in h and h != "cstdio") + "#include <cuda_fp16.h>\n"
    for name, text in (("one", ours), ("before", ours + theirs), ("behind", theirs + ours)):
        write(root, name=name)
        root.write(f"{name}/all.cu", text + USES_STANDARD)
    write(root, name="traits")
    root.write("traits/all.cu", '#include <type_traits>\nstatic_assert(std::is_same_v<std::conditional_t<true, int, float>, int>);\n'
                                'extern "C" __global__ void all() {}\n')
    server = fake()
    for name in ("one", "before", "behind", "traits"):
        (done,) = server.seen("save.done", deployment=name)
        assert done["outcome"] == "swapped" and "all" in {k["name"] for k in done["kernels"]}, done
        assert not server.seen("build.warned", deployment=name)
    done = server.save("one/math.h", '#define FACTOR 3\n')
    done = server.save("one/all.cu", '#include <math.h>\nextern "C" __global__ void all(int *y) { *y = FACTOR; }\n')
    assert done["outcome"] == "swapped", "the author's come first"
    done = server.save("one/all.cu", "#include <vector>\n")
    failed = server.seen("build.failed", deployment="one")[-1]
    assert "no library of the host" in failed["diagnostics"][-1]["message"], failed


def test_a_header_that_was_missing_builds_the_kernel_when_it_is_there(root, fake):
    write(root)
    server = fake()
    done = server.save("one/kernel.cu", '#include "later.h"\n#include "sub/tile.cuh"\n' + kernel(3))
    assert done["outcome"] == "build-failed" and "later.h" in done["reason"], done
    done = server.save("one/later.h", "#define LATER 1\n")
    assert done["outcome"] == "build-failed" and "tile.cuh" in done["reason"], done
    (root.path / "one/sub").mkdir()
    assert server.save("one/sub/tile.cuh", "#define TILE 1\n")["outcome"] == "swapped"


def test_a_kernel_that_no_launch_can_name_is_warned_of(root, fake):
    write(root)
    root.write("one/deployment.yaml", 'kernels: ["named", "(void (*)(int *))cast"]\n')
    server = fake()
    assert not server.seen("build.warned")
    server.save("one/more.cu", """\
__global__ void named(float *y) { *y = 1; }
__global__ void cast(int *y) { *y = 1; }
__global__ void cast(float *y) { *y = 1; }
namespace library { __global__ void inner(float *y) { *y = 1; } }
""")
    (warned,) = server.seen("build.warned")
    (told,) = [d["message"] for d in warned["diagnostics"]]
    assert told.startswith("no launch can name the kernel cast(float*): make it extern"), warned


BOUND = """\
#include <float.h>
#include "stdint.h"
#ifdef OF_THE_AUTHOR
#error "an author's own"
#endif
extern "C" __global__ void bound(float *y) { *y = FLT_MAX; }
"""


@pytest.mark.parametrize("header, cflags", [("one/float.h", ""), ("one/kernels/stdint.h", ""), ("float.h", ""),
                                            ("one/include/stdint.h", "cflags: [-I, {root}/one/include]\n"),
                                            ("one/include/float.h", "cflags: [-Ione/include]\n")])
def test_a_header_that_is_added_in_the_place_of_a_stand_in_is_seen(root, fake, header, cflags):
    write(root)
    root.write("one/kernels/bound.cu", BOUND)
    if cflags:
        root.write("one/deployment.yaml", cflags.format(root=root.path))
    server = fake()
    root.write(header, "#pragma once\n#define OF_THE_AUTHOR\n")
    done = server.save("one/one.c", host() + "\n")
    assert done["outcome"] == "build-failed" and "an author's own" in done["reason"], done
    (root.path / header).unlink()
    assert server.save("one/one.c", host() + "\n\n")["outcome"] == "swapped", "the old object holds again"


def test_a_kernel_of_two_sources_is_refused_with_both(root, fake):
    write(root)
    server = fake()
    done = server.save("one/more.cu", 'extern "C" __global__ void wild(float *y) { *y = 2; }\n')
    assert done["outcome"] == "build-failed" and "more.cu" in done["reason"] and "kernel.cu" in done["reason"], done
    assert "kernel 'wild'" in done["reason"], done
    # Of a text that both include there is one.
    root.write("one/common.cuh", 'extern "C" __global__ void common(float *y) { *y = 1; }\n')
    server.save("one/more.cu", '#include "common.cuh"\nextern "C" __global__ void more(float *y) { *y = 2; }\n')
    done = server.save("one/kernel.cu", '#include "common.cuh"\n' + kernel(3))
    assert done["outcome"] == "swapped", done
    done = server.save("one/more.cu", '#include "kernel.cu"\nextern "C" __global__ void more(float *y) { *y = 3; }\n')
    assert done["outcome"] == "swapped", done
    server.save("one/more.cu", '#include "common.cuh"\n// common() is for all\nextern "C" __global__ void more(float *y) { *y = 4; }\n')
    done = server.save("one/kernel.cu", '#include "common.cuh" // it has common()\n' + kernel(4))
    assert done["outcome"] == "swapped", done
    # Once refused it is refused again, though nothing is compiled.
    root.write("two/a.cu", kernel(2))
    root.write("two/b.cu", kernel(3))
    server.save("two/two.c", host())
    done = server.save("two/two.c", host() + "\n")
    assert done["outcome"] == "build-failed" and "(and 2 more)" in done["reason"], done


def test_a_stage_is_called_as_the_compiler_that_took_its_time(root, fake):
    root.write("mixed/mixed.cu", "#include <devserve/deployment.h>\n__global__ void k() {}\n" + constant(3, "void go() { k<<<1, 1>>>(); }"))
    root.write("mixed/device.cu", kernel(2))
    server = fake(ready=False)
    first = server.wait("save.done", deployment="mixed")
    assert "nvcc" in {s["name"] for s in first["stages"]}, first
    server.wait("server.ready")
    done = server.save("mixed/device.cu", kernel(3))
    assert "nvrtc" in {s["name"] for s in done["stages"]}, done


def test_what_new_writes_serves_and_needs_no_nvcc(root, fake):
    subprocess.run([BUILD / "devserve", "new", "first", "--lang", "cuda", "--root", root.path], check=True)
    server = fake()
    (done,) = server.seen("save.done", deployment="first")
    assert done["outcome"] == "swapped" and "nvcc" not in {s["name"] for s in done["stages"]}, done
    assert not server.seen("build.warned")
    request = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [300], "data": [1.0] * 300}]}
    assert server.infer("first", request).status == 200
    (pid,) = server.worker_pids("first")
    assert "launch twice 2x1x1 256x1x1 0" in server.calls(pid), server.calls(pid)
    done = server.save("first/first.cu", (root.path / "first/first.cu").read_text().replace("2 * x", "3 * x"))
    assert done["outcome"] == "swapped" and not {"gcc", "link"} & {s["name"] for s in done["stages"]}, done


def test_who_forgets_to_offer_the_extension_is_told_what_is_missing(root, serve):
    write(root, call=LAUNCH)
    source = host(LAUNCH).replace("DEVSERVE_CUDA()\n", "").replace("	.extensions = { DEVSERVE_CUDA_EXTENSION },\n", "")
    root.write("one/host.c", source.replace("	.create = create,\n", "").replace("static int create(", "int create(const struct devserve_host *, void **);\nint create("))
    for file in (root.path / "one").iterdir():
        if file.name != "host.c":
            file.unlink()
    server = serve()
    assert server.infer("one", x(1)).status == 500
    told = server.wait("log", deployment="one")["text"]
    assert "with DEVSERVE_CUDA(...) at file scope and DEVSERVE_CUDA_EXTENSION in its .extensions" in told


def test_arguments_that_do_not_fit_the_kernel_are_refused(root, fake):
    write(root, call=LAUNCH.replace("1.0f", "1.0"))
    answer = fake().infer("one", x(1))
    assert answer.status == 500 and "parameter 4 of kernel twice has 4 bytes, its argument 8" in answer.json["error"], answer


def test_a_kernel_gets_as_much_shared_memory_as_a_block_can_have(root, fake):
    write(root, call=LAUNCH.replace(", 0,", ", n * 65536,"))
    server = fake()
    assert server.infer("one", x(1)).status == 200
    (pid,) = server.worker_pids("one")
    calls = server.calls(pid)
    assert calls.index("set 8 of twice to 65536") + 1 == calls.index("launch twice 2x1x1 64x1x1 65536"), calls
    answer = server.infer("one", {"inputs": [{"name": "X", "datatype": "INT32", "shape": [3], "data": [1, 2, 3]}]})
    assert answer.status == 500 and "wants 196608 bytes of shared memory, a block of this GPU has 166912" in answer.json["error"], answer


def test_what_a_call_needs_is_there_for_the_next(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")
    many = {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1 << 19], "data": [7] * (1 << 19)}]}
    assert server.infer("one", many).status == 200
    calls = len(server.calls(pid))
    assert server.infer("one", many).status == 200
    assert [c.split()[0] for c in server.calls(pid)[calls:]] == ["copy", "launch", "copy", "record", "wait"]
    assert server.calls(pid).count("free") == 2, "two blocks became one"


ON_THE_HOST = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	(void)call;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
"""


def arena_blocks(server, name):
    """What the memory of a deployment's tensors takes."""
    found = 0
    for place in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it may be closed meanwhile
            if os.readlink(place).startswith(f"/memfd:{name} "):
                found = max(found, place.stat().st_blocks)
    return found


def test_memory_that_the_gpu_knows_by_its_pages_keeps_them_when_nothing_happens(root, fake):
    write(root)
    root.write("two/two.c", ON_THE_HOST)
    server = fake()
    large = {"inputs": [{"name": "X", "datatype": "INT32", "shape": [400_000], "data": [1] * 400_000}]}
    assert server.infer("one", large).status == 200 and server.infer("two", large).status == 200
    before = arena_blocks(server, "two")
    while arena_blocks(server, "two") == before:  # then what may be given back was
        time.sleep(0.01)
    assert server.infer("one", large).status == 200


def test_a_copy_to_an_output_on_the_host_is_cut_where_its_memory_is_pinned_in_pieces(root, fake):
    write(root)
    root.write("one/one.c", host("	return devserve_cuda_copy(call->host, call->out[0].data, call->in[0].data, 4 * (uint64_t)n);")
               .replace("DEVSERVE_CUDA()", "DEVSERVE_CUDA(.host_outputs = 1)"))
    server = fake()
    for n in 300_000, 3_000_000, 1_200_000, 5_000_000:  # what was an input's place is a part of an output's
        answer = server.infer("one", {"inputs": [{"name": "X", "datatype": "INT32", "shape": [n], "data": list(range(n))}]})
        assert answer.status == 200 and answer.json["outputs"][0]["data"][::99_999] == list(range(0, n, 99_999))


def test_a_kernel_that_is_not_there_is_named_with_those_that_are(root, fake):
    write(root, call=LAUNCH.replace('"twice"', '"twcie"'))
    root.write("hidden/kernel.cu", kernel(2).replace('extern "C" __global__ void twice', "__global__ void twice"))
    root.write("hidden/hidden.c", host())
    root.write("host/kernel.cu", "#include <cublas_v2.h>\n" + kernel(2))
    root.write("host/host.c", host())
    server = fake()
    answer = server.infer("one", x(1))
    assert answer.status == 500 and 'no kernel "twcie"; those that there are: twice, ' in answer.json["error"], answer
    assert "wild" in answer.json["error"] and "forever" in answer.json["error"], answer
    answer = server.infer("hidden", x(1))
    assert answer.status == 500 and 'a twice that isn\'t extern "C"' in answer.json["error"], answer
    answer = server.infer("host", x(1))
    assert answer.status == 500 and "a header of devserve or of CUDA's libraries" in answer.json["error"], answer


@pytest.mark.parametrize("header", ["cuda_runtime.h", "cuda_runtime_api.h", "cuda_fp16.h"])
def test_a_header_of_cuda_alone_makes_no_host_code(root, fake, header):
    write(root)
    root.write("one/kernel.cu", f"#include <{header}>\n" + kernel(2))
    server = fake()
    assert server.infer("one", x(1)).status == 200
    (done,) = server.seen("save.done", deployment="one")
    assert "nvcc" not in {s["name"] for s in done["stages"]}, done


@pytest.mark.parametrize("error, name", [(700, "CUDA_ERROR_ILLEGAL_ADDRESS"), (710, "CUDA_ERROR_ASSERT")])
def test_a_fault_of_the_gpu_costs_the_worker_and_names_the_kernel(root, fake, error, name):
    write(root, call=wild())
    server = fake(fault=f"wild={error}")
    mark = server.mark()
    pids = server.worker_pids("one")
    assert server.infer("one", x(1)).status == 500
    report = server.wait("crash.report", mark, deployment="one")
    assert f"{name} ({error})" in report["what"], report
    assert "kernel wild, grid 3×2×1, block 32×1×1" in report["what"], report
    server.wait("worker.replaced", mark, deployment="one")
    assert server.worker_pids("one") != pids


def test_a_deployment_with_cublas_links_it_where_the_toolkit_is(root, fake):
    root.copy("gemm_cuda")
    server = fake(ready=False)
    done = server.wait("save.done", deployment="gemm_cuda")
    # The fake driver is no match for cuBLAS: it must have been found and asked, though.
    assert done["outcome"] == "trial-failed" and "cuBLAS does not start" in done["reason"], done


def test_cublaslt_is_asked_for_a_handle_where_it_is_linked(root, fake):
    root.write("lt/lt.c", LT)
    root.write("lt/deployment.yaml", "ldlibs: [-lcublasLt]\n")
    root.write("bare/kernel.cu", kernel(2))
    root.write("bare/bare.c", host().replace("devserve_cuda_allocate(host, 12345)", "devserve_cuda_blaslt(host)"))
    server = fake(ready=False)
    done = server.wait("save.done", deployment="bare")
    assert done["outcome"] == "trial-failed" and '"ldlibs: [-lcublasLt]"' in done["reason"], done
    done = server.wait("save.done", deployment="lt")
    # The fake driver is no match for it either.
    assert done["outcome"] == "trial-failed" and "cuBLASLt does not start" in done["reason"], done


# A hundred thousand instructions: NVRTC has seconds to do.
LONG_KERNEL = """\
extern "C" __global__ void takes_long(float *y)
{
	float x = y[threadIdx.x], z = x;
#pragma unroll
	for (int i = 0; i < 256; i++)
#pragma unroll
		for (int j = 0; j < 256; j++)
			z += x * (float)i / (z + (float)j);
	y[threadIdx.x] = z;
}
"""


def computed_s(pid):
    """Processor time of a compiler of ours; None: it is none, or has ended."""
    with contextlib.suppress(OSError):
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if words[0] != "Z" and pathlib.Path(f"/proc/{pid}/comm").read_text() == "devserve-cuda\n":
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return None


def test_a_compilation_ends_with_the_server(root, serve):
    write(root)
    root.write("one/kernel.cu", LONG_KERNEL)
    server = serve(ready=False)
    children = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    while not (busy := [pid for pid in children.read_text().split() if (computed_s(pid) or 0) > 0.5]):
        assert not server.seen("save.done"), "it took no time"
    server.process.kill()
    server.process.wait()
    server.process.returncode = 0  # the fixture need not wonder
    before = computed_s(busy[0]) or 0.5
    while (now := computed_s(busy[0])) is not None:
        assert now < before + 1, "it goes on without a server"


@without_gpu
@pytest.mark.parametrize("plugin, kernels", (("softmax_cuda", {"softmax_short", "softmax_long"}), ("attention_cuda", {"attention"})))
def test_the_kernels_that_ship_compile_without_spills(root, fake, plugin, kernels):
    root.copy(plugin)
    done = fake(ready=False).wait("save.done", deployment=plugin)
    assert done["outcome"] == "trial-failed", done
    assert "from the reference" in done["reason"], done  # the fake computes nothing
    assert {k["name"] for k in done["kernels"]} == kernels, done
    assert not any(k["spilled"] for k in done["kernels"]), done


def test_a_gpu_that_gives_no_memory_is_the_answer(root, fake):
    write(root, call='\t(void)n;\n\treturn devserve_cuda_scratch(call->host, UINT64_MAX) ? 0 : -1;')
    answer = fake().infer("one", x(1))
    assert answer.status == 500 and "no memory of the GPU" in answer.json["error"], answer


# With a GPU



@with_gpu
def test_the_kernels_that_ship_pass_their_checks_and_answer(root, serve):
    root.copy("softmax_cuda", "gemm_cuda")
    server = serve("--create-timeout=60")
    answer = server.infer("softmax_cuda", {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [2, 4],
                                                       "data": [0, 0, 0, 0, 1, 1, 1, -1000]}]})
    assert answer.output("OUTPUT0") == pytest.approx([.25] * 4 + [1 / 3] * 3 + [0], abs=1e-6), answer
    answer = server.infer("gemm_cuda", {"inputs": [
        {"name": "INPUT0", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]},
        {"name": "INPUT1", "datatype": "FP32", "shape": [3, 1], "data": [1, 10, 100]}]})
    assert answer.output("OUTPUT0") == [321, 654], answer
    wrong = server.save("softmax_cuda/softmax.cu", root.read("softmax_cuda/softmax.cu").replace("expf(from[i] - top) * scale", "expf(from[i] - top)"))
    assert wrong["outcome"] == "trial-failed" and "differs from the reference" in wrong["reason"], wrong


@with_gpu
def test_a_product_by_cublaslt_is_right_also_after_a_swap(root, serve):
    root.write("lt/lt.c", LT)
    root.write("lt/deployment.yaml", "ldlibs: [-lcublasLt]\n")
    server = serve("--create-timeout=60")
    a, b = ([[(i * 7 + j * k) % 5 for j in range(16)] for i in range(16)] for k in (1, 3))
    request = {"inputs": [{"name": name, "datatype": "FP32", "shape": [16, 16], "data": sum(rows, [])}
                          for name, rows in (("X", a), ("W", b))]}
    right = [sum(a[i][k] * b[k][j] for k in range(16)) for i in range(16) for j in range(16)]
    assert server.infer("lt", request).output("Y") == right
    assert server.save("lt/lt.c", LT + "\nint again;\n")["outcome"] == "swapped"
    assert server.infer("lt", request).output("Y") == right


@with_gpu
@pytest.mark.parametrize("causal", (False, True))
def test_attention_is_that_of_numpy(root, serve, causal):
    root.copy("attention_cuda")
    server = serve("--create-timeout=60")
    for heads, sequence in ((1, 1), (3, 65), (2, 300)):
        q, k, v = (numpy.random.default_rng(i).uniform(-2, 2, (heads, sequence, 64)).astype(numpy.float32) for i in range(3))
        scores = q.astype(float) @ k.astype(float).transpose(0, 2, 1) / 8
        if causal:
            scores = numpy.where(numpy.tri(sequence, dtype=bool), scores, -numpy.inf)
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        right = weights @ v.astype(float) / weights.sum(-1, keepdims=True)
        tensors = [{"name": n, "datatype": "FP32", "shape": list(t.shape), "data": t.ravel().tolist()}
                   for n, t in (("QUERY", q), ("KEY", k), ("VALUE", v))]
        answer = server.infer("attention_cuda", {"inputs": [*tensors, {"name": "CAUSAL", "datatype": "BOOL", "shape": [1], "data": [causal]}]})
        assert answer.status == 200, answer
        assert numpy.abs(numpy.array(answer.output("OUTPUT")) - right.ravel()).max() < 1e-5, (heads, sequence)
    wrong = server.save("attention_cuda/attention.cu", root.read("attention_cuda/attention.cu").replace("key >= sequence ||", "key > sequence ||"))
    assert wrong["outcome"] == "trial-failed" and "from the reference" in wrong["reason"], wrong


@with_gpu
@pytest.mark.timeout(900 if LONG else 240)
def test_saves_under_load_give_no_wrong_answer(root, serve):
    write(root, factor=2)
    server = serve("--create-timeout=60")
    factors, wrong, n, ended = {1: 2}, [], [0], threading.Event()

    def ask():
        client = server.new_client()
        while not ended.is_set():
            answer = client.infer("one", x(1000 + n[0] % 1000))
            n[0] += 1
            if answer.status != 200 or answer.generation not in factors or \
                    answer.value not in {f * v for v in range(1000, 2000) for f in [factors[answer.generation]]}:
                wrong.append(answer)

    (pid,), driver, used = server.worker_pids("one"), Driver(), {}
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for i in range(1000 if LONG else 30):
            factors[i + 2] = 3 + i
            done = server.save("one/kernel.cu", kernel(3 + i))
            assert (done["outcome"], done["generation"]) == ("swapped", i + 2), done
            if i in (50, 950):
                assert server.worker_pids("one") == [pid], "it is one worker's memory"
                used[i] = driver.used_bytes()
    finally:
        ended.set()
        for t in threads:
            t.join()
    assert not wrong and n[0] > 100, (wrong[:3], n)
    print(f"{n[0]} answers, none wrong; device memory in use, in bytes: {used}")
    assert not LONG or used[950] <= used[50], used


@with_gpu
def test_an_illegal_address_costs_the_worker_and_another_answers(root, serve):
    write(root)
    server = serve("--create-timeout=60")
    assert server.infer("one", x(21)).value == 42
    server.save("one/one.c", host(wild()))
    mark = server.mark()
    assert server.infer("one", x(1)).status in (200, 500)  # the generation before may answer instead
    report = server.wait("crash.report", mark, deployment="one")
    assert "kernel wild, grid 3×2×1" in report["what"], report
    server.save("one/one.c", host() + "\nint again;\n")
    assert server.infer("one", x(21)).value == 42


@with_gpu
def test_an_assertion_of_a_kernel_costs_the_worker_and_another_answers(root, serve):
    write(root, call=wild("untrue"))
    root.write("one/kernel.cu", kernel(2) + 'extern "C" __global__ void untrue(int *y)\n{\n\tassert(!y);\n}\n')
    server = serve("--create-timeout=60")
    mark = server.mark()
    assert server.infer("one", x(1)).status == 500
    assert "CUDA_ERROR_ASSERT (710)" in server.wait("crash.report", mark, deployment="one")["what"]
    server.save("one/one.c", host())
    assert server.infer("one", x(21)).value == 42


@with_gpu
def test_a_kernel_may_use_what_its_gpu_alone_has(root, serve):
    write(root, call=LAUNCH)
    root.write("one/kernel.cu", kernel(2).replace("	if (threadIdx.x < n)", """\
#if __CUDA_ARCH__ == 900
	asm volatile("wgmma.fence.sync.aligned;");
#endif
	if (threadIdx.x < n)""", 1))
    assert serve("--create-timeout=60").infer("one", x(21)).value == 42


@with_gpu
def test_a_kernel_that_never_ends_is_ended(root, serve):
    write(root)
    root.write("one/deployment.yaml", "request_timeout_s: 1\n")
    server = serve("--create-timeout=60")
    server.save("one/one.c", host(wild("forever")))
    assert server.infer("one", x(1)).status == 504
    server.save("one/one.c", host() + "\nint again;\n")
    assert server.infer("one", x(21)).value == 42


@with_gpu
def test_host_and_device_in_one_source_serve_and_swap(root, serve):
    def mixed(factor):
        return f"""\
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

__global__ void times(int *y, const int *x) {{ *y = {factor} * *x; }}

static int infer(const struct devserve_call *call)
{{
	auto stream = static_cast<cudaStream_t>(devserve_cuda_stream(call->host));

	times<<<1, 1, 0, stream>>>(static_cast<int *>(call->out[0].data), static_cast<const int *>(call->in[0].data));
	return cudaGetLastError() == cudaSuccess ? 0 : -1;
}}

DEVSERVE_CUDA()

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
	.extensions = {{ DEVSERVE_CUDA_EXTENSION }},
)
"""
    root.write("mixed/mixed.cu", mixed(2))
    server = serve("--create-timeout=60")
    assert server.infer("mixed", x(21)).value == 42
    for factor in range(3, 13):
        assert server.save("mixed/mixed.cu", mixed(factor))["outcome"] == "swapped"
        assert {server.infer("mixed", x(7)).value for _ in range(20)} == {7 * factor}
