# SPDX-License-Identifier: MIT
"""Rows of bench/gpu about calls: many small kernels as a graph, and a worker that lost its context."""

import subprocess
import sys
import time
from statistics import median

from gpu_harness import ComputeTime, Row, mode, together

CHAIN = 20  # kernels of a call
REST_S = 2.0  # a worker that waits with a context of its own is made meanwhile
CHAIN_KERNEL = """
extern "C" __global__ void step(int *y, const int *x, int n)
{
	if (threadIdx.x < n)
		y[threadIdx.x] = x[threadIdx.x] + 1;
}

extern "C" __global__ void fake_adds_1() {} // t/fake/libcuda.c
"""
CHAIN_QUEUE = f"""
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

static int queue(const struct devserve_host *host, void *y, const void *x)
{{
	int r = 0;

	for (int i = 0; i < {CHAIN} && r == 0; i++)
		r = devserve_launch(host, "step", devserve_xyz(1, 1, 1), devserve_xyz(64, 1, 1), 0, y, i ? (const void *)y : x, 64);
	return r;
}}
"""
CHAIN_HOST = CHAIN_QUEUE + """
static int infer(const struct devserve_call *call)
{
	return queue(call->host, call->out[0].data, call->in[0].data);
}

DEVSERVE_CUDA(GRAPHS)
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 64 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 64 } }),
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""
# The same copies, graph and wait in a loop, by the driver alone: nanoseconds of each.
CHAIN_BARE = CHAIN_QUEUE + """
#include <dlfcn.h>
#include <time.h>

static void find(void *ret, const char *name)
{
	*(void **)ret = dlsym(dlopen("libcuda.so.1", RTLD_NOW), name);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int infer(const struct devserve_call *call)
{
	int (*begin)(void *, int), (*end)(void *, void **), (*instantiate)(void **, void *, unsigned long long), (*launch)(void *, void *);
	int (*wait)(void *), (*pin)(void **, size_t), (*in)(uint64_t, const void *, size_t, void *), (*out)(void *, uint64_t, size_t, void *);
	void *stream = devserve_cuda_stream(call->host), *graph, *exec, *pinned;
	void *x = devserve_cuda_scratch(call->host, 256), *y = devserve_cuda_scratch(call->host, 256);
	int64_t started = 0, *ns = call->out[0].data;
	int r;

	find(&begin, "cuStreamBeginCapture_v2");
	find(&end, "cuStreamEndCapture");
	find(&instantiate, "cuGraphInstantiateWithFlags");
	find(&launch, "cuGraphLaunch");
	find(&wait, "cuStreamSynchronize");
	find(&pin, "cuMemAllocHost_v2");
	find(&in, "cuMemcpyHtoDAsync_v2");
	find(&out, "cuMemcpyDtoHAsync_v2");
	if (!x || !y || queue(call->host, y, x) || wait(stream) || pin(&pinned, 512) || begin(stream, 1))
		return -1;
	r = queue(call->host, y, x);
	if (end(stream, &graph) || r || instantiate(&exec, graph, 0))
		return -1;
	for (int i = -100; i < 2000; i++) {
		if (i == 0)
			started = now();
		if (in((uint64_t)x, pinned, 256, stream) || launch(exec, stream) || out((char *)pinned + 256, (uint64_t)y, 256, stream) || wait(stream))
			return -1;
	}
	*ns = (now() - started) / 2000;
	return 0;
}

DEVSERVE_CUDA(.host_inputs = 1, .host_outputs = 1)
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "MODE", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "NS", DEVSERVE_INT64, { 1 } }),
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""


WILD = """
extern "C" __global__ void wild(int *y) { y[1ll << 40] = 1; }
extern "C" __global__ void tame(int *y) { *y = 7; }
"""
WILD_HOST = """
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

static int infer(const struct devserve_call *call)
{
	return devserve_launch(call->host, *(const int32_t *)call->in[0].data ? "wild" : "tame", devserve_xyz(1, 1, 1),
			       devserve_xyz(1, 1, 1), 0, call->out[0].data);
}

DEVSERVE_CUDA(.host_inputs = 1)
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""


def graphs(bench, found):
    """Microseconds of a call of small kernels in the worker, replayed and not, and of the bare loop."""
    request = {"inputs": [{"name": "X", "datatype": "INT32", "shape": [64], "data": [1] * 64}]}
    files = {f"{name}/step.cu": CHAIN_KERNEL for name in ("graph", "chain", "bare")}
    files |= {"graph/graph.c": CHAIN_HOST.replace("GRAPHS", ".graphs = 1"), "chain/chain.c": CHAIN_HOST.replace("GRAPHS", ""),
              "bare/bare.c": CHAIN_BARE}
    found.update(us=[], plain_us=[], bare_us=[])

    with bench.serve(files) as server:
        times = {name: ComputeTime(server, name) for name in ("graph", "chain")}

        def right(answer):
            if answer.output("Y") != [1 + CHAIN] * 64:
                raise RuntimeError(f"wrong: {answer}")

        def mean(name):
            def ask(_):
                client = server.new_client()
                for _ in range(250):
                    right(client.infer(name, request))
            together(4, ask)
            return 1000 * times[name].ms()

        for name in times:
            mean(name)
        for _ in range(bench.rounds(6, 2)):
            found["us"].append(mean("graph"))
            found["bare_us"].append(server.infer("bare", mode(0)).output("NS")[0] / 1000)
            found["plain_us"].append(mean("chain"))
        said = [e["text"] for e in server.seen("log", deployment="graph") if "CUDA graph" in e["text"]]
        if said:
            raise RuntimeError(f"they were not replayed: {said[0]}")


def describe_graphs(found, _):
    ours, plain, bare = (median(found[k]) for k in ("us", "plain_us", "bare_us"))
    return [(f"calls of {CHAIN} small kernels, as graphs", f"{ours:.1f} µs, {100 * bare / ours:.0f} % of the bare rate; {plain:.1f} µs without",
             f"≥ 90 % of a bare replay loop, {bare:.1f} µs")]


def context_ms():
    """Of a new process: cuInit() and its context."""
    code = "import ctypes, time; d = ctypes.CDLL('libcuda.so.1'); c = ctypes.c_void_p(); t = time.perf_counter(); " \
           "d.cuInit(0); d.cuDevicePrimaryCtxRetain(ctypes.byref(c), 0); print(1000 * (time.perf_counter() - t))"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


def replacement(bench, found):
    """A kernel's fault, and the next good answer: from sending the request that faults, and from the 500 that it gets."""
    found.update(context_ms=[context_ms() for _ in range(bench.rounds(5, 2))], ms=[], after_answer_ms=[])
    with bench.serve({"wild/wild.cu": WILD, "wild/wild.c": WILD_HOST}) as server:
        for _ in range(bench.rounds(4, 2)):
            client, mark, sent = server.new_client(), server.mark(), time.perf_counter()
            faulted = server.infer("wild", mode(1, "X"))
            answered = time.perf_counter()
            if faulted.status != 500:
                raise RuntimeError(f"it did not fault: {faulted}")
            while client.infer("wild", mode(0, "X")).status != 200:
                pass
            now = time.perf_counter()
            found["ms"].append(1000 * (now - sent))
            found["after_answer_ms"].append(1000 * (now - answered))
            server.wait("worker.replaced", mark, deployment="wild")
            time.sleep(REST_S)


def describe_replacement(found, _):
    ours, later, made = (median(found[k]) for k in ("ms", "after_answer_ms", "context_ms"))
    return [("worker replaced after error 700", f"{ours:.0f} ms from the faulting request's sending to the next good answer, "
             f"{later:.0f} from its 500", f"≤ 2 × the driver's own context, {made:.0f} ms")]


GRAPHS = Row("graphs", "calls of small kernels as graphs, beside a bare loop", (20, 12), graphs, describe_graphs)
ROWS = [Row("replacement", "a kernel's fault, and the next good answer", (25, 15), replacement, describe_replacement)]
