# SPDX-License-Identifier: MIT
"""Rows of bench/gpu about copies between host and device: each way by itself, and both beside kernels of other calls. Beside
them stand copies of pinned memory by the driver alone, and a loop of three streams, as a program without devserve has it."""

import array
import contextlib
import ctypes
import json
import time
from statistics import median

from gpu_harness import ComputeTime, Nvrtc, Row, together

COPIED = 64 << 20  # bytes, of a copy by itself
STREAMED = 32 << 20  # each way, of a call among others
CLIENTS = 4
# So long that clients keep up: a server's one thread needs some 20 ms for the bytes of a call that has both.
COMPUTES_NS, COMPUTES_BOTH_NS = 25000000, 40000000

HOST = """
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

static int infer(const struct devserve_call *call)
{
	INFER
}

DEVSERVE_CUDA(CUDA)
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { INPUTS } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { OUTPUTS } }),
	SHAPE
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""
SPIN = """
extern "C" __global__ void spin(int *y, const int *x, int n, long long ns)
{
	unsigned long long start, now;

	asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
	do
		asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
	while ((long long)(now - start) < ns);
	if (n)
		*y = x[0];
}

extern "C" __global__ void fake_adds_0() {} // t/fake/libcuda.c
"""


def host(infer, inputs="-1", outputs="1", cuda="", shape=""):
    return (HOST.replace("(CUDA)", f"({cuda})").replace("INFER", infer).replace("{ INPUTS }", f"{{ {inputs} }}")
            .replace("{ OUTPUTS }", f"{{ {outputs} }}").replace("SHAPE", shape))


def launch(ns):
    return f'return devserve_launch(call->host, "spin", devserve_xyz(1, 1, 1), devserve_xyz(1, 1, 1), 0, call->out[0].data,\n' \
           f"\t\t\t       call->in[0].data, 1, (long long){ns});"


class Asking:
    """A client whose tensors are bytes, the input's first number `first`; answers are read into one buffer."""

    def __init__(self, server, n_in, n_out, first=7):
        raw = array.array("i", [first]) * (n_in // 4)
        head = json.dumps({"inputs": [{"name": "X", "datatype": "INT32", "shape": [len(raw)], "parameters": {"binary_data_size": n_in}}],
                           "outputs": [{"name": "Y", "parameters": {"binary_data": True}}]}).encode()
        self.body, self.first, self.n_out = head + raw.tobytes(), first, n_out
        self.headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
        self.connection, self.buffer = server.new_client().connection, memoryview(bytearray(n_out + 4096))

    def ask(self):
        self.connection.request("POST", "/v2/models/bench/infer", self.body, self.headers)
        response = self.connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read()[:300]}")
        n, got = 0, 1
        while got:
            got = response.readinto(self.buffer[n:])
            n += got
        at = int(response.headers["Inference-Header-Content-Length"])
        if n - at != self.n_out:
            raise RuntimeError(f"{n - at} bytes came, not {self.n_out}")
        return int.from_bytes(self.buffer[at:at + 4], "little")

    def check(self):
        answer = self.ask()
        if answer != self.first:
            raise RuntimeError(f"{answer} came, not {self.first}")


def alone(bench, found, n_in, n_out, files, copy):
    """One call after the other, of one client: the worker's time for each, and the driver's for such a copy."""
    found.update(ms=[], pinned_ms=[], first_ms=[])
    driver, size = bench.driver, max(n_in, n_out)
    with bench.serve(files) as server, driver.pinned(size) as pinned, driver.memory(size) as device:
        client, times = Asking(server, n_in, n_out), ComputeTime(server, "bench")
        for i in range(bench.rounds(16, 6)):
            (client.check if n_out > 4 else client.ask)()
            found["ms" if i >= 2 else "first_ms"].append(times.ms())
            found["pinned_ms"].append(driver.time(lambda: copy(driver, device, pinned, size)))


def describe_alone(label):
    def describe(found, _):
        ours, theirs = (COPIED / 1e6 / median(found[k]) for k in ("ms", "pinned_ms"))
        return [(label, f"{ours:.1f} GB/s, {100 * ours / theirs:.0f} % of pinned memory alone", f"≥ 90 % of {theirs:.1f} GB/s")]
    return describe


def inputs(bench, found):
    files = {"bench/bench.c": host("((int32_t *)call->out[0].data)[0] = (int32_t)devserve_count(&call->in[0]);\n\treturn 0;",
                                   cuda=".host_outputs = 1")}
    alone(bench, found, COPIED, 4, files, lambda driver, device, pinned, n: driver.copy_in(device, pinned, n))


def outputs(bench, found):
    files = {"bench/spin.cu": SPIN, "bench/bench.c": host(launch(0), inputs="1", outputs=str(COPIED // 4))}
    alone(bench, found, 4, COPIED, files, lambda driver, device, pinned, n: driver.copy_out(pinned, device, n))


def in_a_stream(bench, found, server, n_out, rounds):
    """Calls of several clients: the worker's time from the end of one to that of the next, and what passed by the clock."""
    times = ComputeTime(server, "bench")
    clients = [Asking(server, STREAMED, n_out, first=k + 1) for k in range(CLIENTS)]
    n = bench.rounds(10, 4)

    def load():
        started = time.perf_counter()
        together(CLIENTS, lambda k: [clients[k].check() for _ in range(n)])
        return times.ms(), 1000 * (time.perf_counter() - started) / n / CLIENTS

    load()
    for _ in range(rounds):
        ms, wall_ms = load()
        found["ms"].append(ms)
        found["wall_ms"].append(wall_ms)
        yield


def overlap(bench, found):
    """Inputs beside a kernel of another call; the answers are 4 bytes."""
    found.update(ms=[], wall_ms=[], in_ms=[], kernel_ms=COMPUTES_NS / 1e6)
    driver = bench.driver
    with bench.serve({"bench/spin.cu": SPIN, "bench/bench.c": host(launch(COMPUTES_NS))}) as server, \
            driver.pinned(STREAMED) as pinned, driver.memory(STREAMED) as device:
        for _ in in_a_stream(bench, found, server, 4, bench.rounds(6, 2)):
            found["in_ms"] += [driver.time(lambda: driver.copy_in(device, pinned, STREAMED)) for _ in range(4)]


def hidden(found, ms, copies_ms):
    """How much of the copies' time a call didn't take longer than its kernel."""
    return 100 * (1 - (ms - found["kernel_ms"]) / copies_ms)


def late(found):
    """Said where calls did not come as fast as the worker was done: then copies have nothing to hide behind."""
    wall = median(found["wall_ms"])
    return f"; CLIENTS WERE LATE: {wall:.1f} ms a call by the clock" if wall > 1.05 * median(found["ms"]) else ""


def describe_overlap(found, _):
    ours, copy = median(found["ms"]), median(found["in_ms"])
    return [("inputs while another call computes", f"{ours:.3f} ms a call, {hidden(found, ours, copy):.0f} % of the copy hidden{late(found)}",
             f"≥ 90 % of {copy:.3f} ms beside a kernel of {found['kernel_ms']:.0f} ms")]


class ThreeStreams:
    """A copy there, a kernel and a copy back in streams of their own, with three sets of memory that take turns."""

    SETS = 3

    def __init__(self, stack, driver, size, ns):
        self.driver, self.size = driver, size
        self.function = driver.function(Nvrtc(driver.architecture()).cubin(SPIN), "spin")
        self.into, self.compute, self.back = (driver.new_stream() for _ in range(3))
        self.hosts, self.answers = ([stack.enter_context(driver.pinned(size)) for _ in range(self.SETS)] for _ in range(2))
        self.x, self.y = ([stack.enter_context(driver.memory(size)) for _ in range(self.SETS)] for _ in range(2))
        self.ns = ctypes.c_longlong(ns)

    def ms(self, n):
        """Of a call, from the end of the first to that of the last."""
        driver, (copied, computed, done) = self.driver, ([self.driver.new_event() for _ in range(n)] for _ in range(3))

        def wait(stream, event):
            driver("cuStreamWaitEvent", stream, event, 0)

        for i in range(n):
            k, before = i % self.SETS, i - self.SETS
            if before >= 0:
                wait(self.into, computed[before])  # it has read these inputs
                wait(self.compute, done[before])   # and these outputs are out
            driver.copy_in(self.x[k], self.hosts[k], self.size, self.into)
            driver("cuEventRecord", copied[i], self.into)
            wait(self.compute, copied[i])
            driver.launch(self.function, (self.y[k], self.x[k], ctypes.c_int(1), self.ns), self.compute)
            driver("cuEventRecord", computed[i], self.compute)
            wait(self.back, computed[i])
            driver.copy_out(self.answers[k], self.y[k], self.size, self.back)
            driver("cuEventRecord", done[i], self.back)
        driver("cuEventSynchronize", done[-1])
        ms = driver.elapsed_ms(done[0], done[-1]) / (n - 1)
        for event in copied + computed + done:
            driver("cuEventDestroy_v2", event)
        return ms


def stream(bench, found):
    """Calls that have as much for the device as for the host, and compute, of several clients; and the loop by turns."""
    found.update(ms=[], wall_ms=[], bare_ms=[], in_ms=[], out_ms=[], kernel_ms=COMPUTES_BOTH_NS / 1e6)
    files = {"bench/spin.cu": SPIN, "bench/bench.c": host(launch(COMPUTES_BOTH_NS), outputs="-1", shape=".shape = DEVSERVE_SAME_SHAPE,")}
    driver, n = bench.driver, bench.rounds(20, 8)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(bench.serve(files))
        bare = ThreeStreams(stack, driver, STREAMED, COMPUTES_BOTH_NS)
        bare.ms(4)
        for _ in in_a_stream(bench, found, server, STREAMED, bench.rounds(6, 2)):
            found["bare_ms"].append(bare.ms(n))
            for _ in range(4):
                found["in_ms"].append(driver.time(lambda: driver.copy_in(bare.x[0], bare.hosts[0], STREAMED)))
                found["out_ms"].append(driver.time(lambda: driver.copy_out(bare.answers[0], bare.y[0], STREAMED)))


def describe_stream(found, _):
    ours, bare = median(found["ms"]), median(found["bare_ms"])
    copies = median(found["in_ms"]) + median(found["out_ms"])
    return [("inputs and outputs in a stream", f"{ours:.3f} ms a call, {100 * bare / ours:.1f} % of the bare loop's rate; "
             f"{hidden(found, ours, copies):.0f} % of both copies hidden{late(found)}",
             f"≥ 90 % of {copies:.3f} ms beside a kernel of {found['kernel_ms']:.0f} ms; "
             f"a loop of three streams: {bare:.3f} ms, {hidden(found, bare, copies):.0f} % hidden")]


NEVER_KEPT = [Row("overlap", "inputs of 32 MiB beside a kernel of another call", (25, 12), overlap, describe_overlap),
              Row("stream", "inputs and outputs of 32 MiB beside kernels, and a bare loop of three streams", (35, 15), stream, describe_stream),
              Row("outputs", "outputs of 64 MiB, beside pinned memory", (12, 10), outputs, describe_alone("outputs of 64 MiB from the GPU"))]
ROWS = [Row("inputs", "inputs of 64 MiB, beside pinned memory", (12, 10), inputs, describe_alone("inputs of 64 MiB to the GPU"))]
