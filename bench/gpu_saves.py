# SPDX-License-Identifier: MIT
"""Rows of bench/gpu about many saves: whether what is told of a kernel's speed is true, and what a thousand
swaps leave behind. Each has a server of its own; the fake driver runs them, too (t/e2e/test_cuda_bench.py)."""

import math
import threading

from gpu_harness import Row

LOOPS = 100000  # of dependent operations: a fifth of a millisecond or so
PLANTED = 1.03
SETTLED = 50  # swaps after which memory is to stay as it is
MOST = 950    # of one worker: after its thousandth image another takes over

HOST = """\
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

static int infer(const struct devserve_call *call)
{
	return devserve_launch(call->host, "turn", devserve_xyz(1, 1, 1), devserve_xyz(32, 1, 1), 0, call->out[0].data,
			       call->in[0].data, 1);
}

DEVSERVE_CUDA()

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""


def kernel(loops, variant):
    """y = x after `loops` turns of which none can begin before the one before has ended."""
    return f"""\
extern "C" __global__ void turn(int *y, const int *x, int n)
{{
	unsigned v = x[0];

	for (int i = 0; i < {loops}; i++)
		v = (v * 1664525u + 1013904223u) ^ (v >> 7);
	if (threadIdx.x == 0)
		*y = v == 0x12345678u ? n : x[0];
}}

extern "C" __global__ void fake_takes_{loops}() {{}}
__device__ int made_{variant} = {variant};
"""


def adder(n):
    return f"""\
extern "C" __global__ void turn(int *y, const int *x, int n)
{{
	*y = *x + {n};
}}

extern "C" __global__ void fake_adds_{n}() {{}}
"""


def request(x):
    return {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1], "data": [x]}]}


def write(root, text):
    for name, content in files(text).items():
        root.write(name, content)


def verdicts(server, n, told):
    """Saves whose effect is known, and what was told: of `n` the same, of `n` each 3 % slower and 3 % faster."""
    told.update(same=[], slower=[], faster=[])
    loops, variant = LOOPS, 0

    def save(kind, now):
        nonlocal loops, variant
        variant += 1
        mark = server.mark()
        done = server.save("bench_saves/kernel.cu", kernel(now, variant))
        assert done["outcome"] == "swapped", done
        e = server.wait("verdict", mark, deployment="bench_saves", generation=done["generation"])
        told[kind].append({k: e.get(k) for k in ("verdict", "ratio", "interval", "rounds", "mappings", "reason", "took_ms")})
        loops = now

    assert server.infer("bench_saves", request(7)).status == 200
    for _ in range(n):
        save("same", loops)
        save("slower", round(LOOPS * PLANTED))
        save("faster", LOOPS)


def describe_verdicts(told):
    """Of each kind: what ought to have been told, how often that was, how often the opposite, how far off the ratio was."""
    rows = []
    for kind, right, ratio in (("same", "SAME", 1), ("slower", "SLOWER", 1 / PLANTED), ("faster", "FASTER", PLANTED)):
        names = [t["verdict"] for t in told[kind]]
        wrong = {"same": ("FASTER", "SLOWER"), "slower": ("FASTER", "SAME"), "faster": ("SLOWER", "SAME")}[kind]
        off = [abs(math.log(t["ratio"] / ratio)) for t in told[kind] if t["ratio"]]
        rows.append((f"verdict of a save: {kind}{'' if kind == 'same' else f' by {PLANTED - 1:.0%}'}",
                     f"{right} {names.count(right)} of {len(names)}, wrong {sum(names.count(w) for w in wrong)}"
                     + (f", at most {100 * max(off):.2f} % off" if off else ", none was measured"),
                     "never wrong; most are told" if kind != "same" else "never FASTER, never SLOWER"))
    return rows


def swaps(server, n, used_bytes, found):
    """`n` saves of a kernel under a client's closed loop: wrong answers, and `used_bytes()` early and late."""
    found.update(swaps=0, answers=0, wrong=[], used={})
    added, ended = {1: 0}, threading.Event()

    def ask():
        try:
            client = server.new_client()
            while not ended.is_set():
                x = found["answers"] % 1000
                answer = client.infer("bench_saves", request(x))
                found["answers"] += 1
                if answer.status != 200 or answer.value != x + added[answer.generation]:
                    found["wrong"].append(str(answer)[:300])
        except Exception as e:  # a thread's own would be told to nobody
            found["wrong"].append(repr(e)[:300])

    (pid,) = server.worker_pids("bench_saves")
    early, late = min(SETTLED, n // 2), min(MOST, n - 1)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        for i in range(n):
            added[i + 2] = i + 1
            done = server.save("bench_saves/kernel.cu", adder(i + 1))
            assert (done["outcome"], done["generation"]) == ("swapped", i + 2), done
            found["swaps"] = i + 1
            if i in (early, late):
                assert server.worker_pids("bench_saves") == [pid], "it is one worker's memory"
                found["used"][i] = used_bytes()
    finally:
        ended.set()
        thread.join()
    found["grown"] = found["used"][late] - found["used"][early]


def describe_swaps(found):
    used = found["used"]
    return [(f"{found['swaps']} swaps under a client", f"{len(found['wrong'])} of {found['answers']} answers wrong; "
             f"device memory {found['grown']:+} bytes", f"0 wrong, flat from swap {min(used)} to {max(used)}")]


def files(text):
    return {"bench_saves/kernel.cu": text, "bench_saves/bench.c": HOST}


def verdicts_row(bench, found):
    with bench.serve(files(kernel(LOOPS, 0)), DEVSERVE_NO_VERDICT="no") as server:
        verdicts(server, bench.rounds(12, 4), found)


def swaps_row(bench, found):
    with bench.serve(files(adder(0))) as server:
        swaps(server, min(bench.n_swaps, 60) if bench.quick else bench.n_swaps, bench.driver.used_bytes, found)


ROWS = [Row("verdicts", "what is told of saves that are 3 % slower, faster, and the same", (80, 35), verdicts_row,
            lambda told, _: describe_verdicts(told)),
        Row("swaps", "1000 swaps under a client: wrong answers, memory", (200, 20), swaps_row, lambda found, _: describe_swaps(found))]
