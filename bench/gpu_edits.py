# SPDX-License-Identifier: MIT
"""Rows of bench/gpu about the time from an edit to its answer: of a CUDA kernel, beside NVRTC and beside torch's load_inline."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import time
from statistics import median

from gpu_harness import TREE, Nvrtc, Row, quartiles

REST_S = 2.0  # between two saves, as authors do
SMALL = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 8], "data": [1, 2, 3, 4, 5, 6, 7, 8]}]}


class Watcher:
    """One client in a closed loop, for as long as it is wanted: when each answer came, and of which generation."""

    def __init__(self, server, name, request):
        self.client, self.name, self.request = server.new_client(), name, request
        self.answers, self.failed, self.ended = [], [], False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()

    def run(self):
        while not self.ended:
            try:
                answer = self.client.infer(self.name, self.request)
            except Exception as e:  # a thread's own would be told to nobody
                self.failed.append(repr(e))
                return
            self.answers.append((time.perf_counter(), answer.generation))
            if answer.status != 200:
                self.failed.append(str(answer))

    def check(self):
        if self.failed:
            raise RuntimeError(f"{len(self.failed)} failed: {self.failed[0]}")

    def first_of(self, generation):
        self.check()
        first = next((t for t, g in self.answers if g == generation), None)
        if first is None:
            raise RuntimeError(f"no answer of generation {generation} yet")
        return first

    def longest(self, start, end):
        times = [t for t, _ in self.answers if start <= t <= end]
        return 1000 * max((b - a for a, b in zip(times, times[1:])), default=0)


def save(bench, found):
    """Kernels that are all new: how long until one answers, and how much longer than else that took.
    Between two saves NVRTC compiles the same by itself, under the same load."""
    nvrtc, text = Nvrtc(bench.driver.architecture()), (TREE / "plugins/softmax_cuda/softmax.cu").read_text()
    nvrtc.ms(text)
    found.update(ms=[], alone_ms=[], gap_ms=[], longest_ms=[], stages=[])
    with bench.serve({}, copy=["softmax_cuda"]) as server, Watcher(server, "softmax_cuda", SMALL) as watcher:
        for i in range(bench.rounds(16, 4)):
            new = f"{text}\n__device__ int made_{i} = {i};\n"
            time.sleep(REST_S / 2)
            alone = nvrtc.ms(new)
            time.sleep(REST_S / 2)
            started = time.perf_counter()
            done = server.save("softmax_cuda/softmax.cu", new)
            if done["outcome"] != "swapped":
                raise RuntimeError(f"{done['outcome']}: {done.get('reason')}")
            time.sleep(0.3)
            first = watcher.first_of(done["generation"])
            longest = watcher.longest(first - .15, first + .15)
            found["ms"].append(1000 * (first - started))
            found["alone_ms"].append(alone)
            found["longest_ms"].append(longest)
            found["gap_ms"].append(longest - watcher.longest(started - .6, started - .3))
            found["stages"].append({s["name"]: s["ms"] for s in done["stages"]})
        watcher.check()
        found["answers"] = len(watcher.answers)


def describe_save(found, _):
    alone, over = median(found["alone_ms"]), median(a - 1.3 * b for a, b in zip(found["ms"], found["alone_ms"]))
    stages = {k: round(median(s.get(k, 0) for s in found["stages"]), 1) for k in found["stages"][0]}
    low, middle, high = quartiles(found["gap_ms"])
    return [("save → first answer", f"{median(found['ms']):.1f} ms {stages}",
             f"≤ 1.3 × NVRTC alone ({alone:.1f} ms) + 15 ms; {over:+.1f} ms from that"),
            ("swap pause", f"{middle:.3f} ms [{low:.3f}, {high:.3f}] more than else between two answers, at most {max(found['gap_ms']):.3f}; "
             f"the longest gap of all was {max(found['longest_ms']):.3f}", f"≤ 1 ms; {len(found['gap_ms'])} swaps")]


TORCH = """
import os, sys, time
import torch
os.environ["TORCH_CUDA_ARCH_LIST"] = "%d.%d" % torch.cuda.get_device_capability()
from torch.utils.cpp_extension import load_inline
kernel = open(sys.argv[1]).read().replace('extern "C" ', '')
cuda = '#include <c10/cuda/CUDAStream.h>\\n' + kernel + '''
torch::Tensor f(torch::Tensor x) {
	auto y = torch::empty_like(x);
	softmax_short<<<x.size(0), 32, 0, c10::cuda::getCurrentCUDAStream()>>>(y.data_ptr<float>(), x.data_ptr<float>(), (int)x.size(1));
	return y;
}
'''
x = torch.arange(8, dtype=torch.float32, device="cuda").reshape(1, 8)
for i in range(int(sys.argv[2])):
    t = time.perf_counter()
    m = load_inline(name="edit", cpp_sources="torch::Tensor f(torch::Tensor x);", cuda_sources=f"{cuda}\\n__device__ int made_{i} = {i};",
                    functions=["f"], build_directory=None)
    y = m.f(x).cpu()
    assert torch.allclose(y, torch.softmax(x.cpu(), -1))
    print(1000 * (time.perf_counter() - t), flush=True)
"""


TORCH_S = 240  # for two builds, of which the second is an edit


def torch(bench, found):
    """torch's load_inline with the same kernel, under one name, so that only what changed is built: from the edit
    to the answer."""
    found.update(ms=[])
    if not importlib.util.find_spec("torch"):
        raise RuntimeError("PyTorch is not installed for this Python")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script, tempfile.NamedTemporaryFile("w+") as wrong:
        script.write(TORCH)
        script.flush()
        process = subprocess.Popen([sys.executable, script.name, str(TREE / "plugins/softmax_cuda/softmax.cu"), "2"],
                                   stdout=subprocess.PIPE, stderr=wrong, text=True, start_new_session=True)
        limit_s = min(TORCH_S, max(1, bench.left_s() - 5))
        timer = threading.Timer(limit_s, end_group, [process])
        timer.start()
        try:
            for line in process.stdout:  # one for each build, as it comes
                found["ms"].append(float(line))
            process.wait()
        finally:
            timer.cancel()
            end_group(process)
        wrong.seek(0)
        if len(found["ms"]) < 2:
            why = f"they were ended after {limit_s:.0f} s" if process.returncode == -9 else wrong.read()[-500:]
            raise RuntimeError(f"{len(found['ms'])} of 2 builds ended ({', '.join(f'{ms:.0f} ms' for ms in found['ms'])}): {why}")


def end_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def describe_torch(found, others):
    ours = others.get("save")
    return [("torch's load_inline, edit → answer", f"{found['ms'][-1]:.0f} ms; the first build {found['ms'][0]:.0f}",
             f"{found['ms'][-1] / median(ours['ms']):.0f} × ours; aim ≥ 20 ×" if ours else "aim ≥ 20 × ours, which this run has not")]


SAVE = Row("save", "an edit of a kernel and its first answer, beside NVRTC; and the pause of its swap", (50, 20), save, describe_save)
TORCH_ROW = Row("torch", "the same edit with PyTorch's load_inline", (160, 160), torch, describe_torch)
