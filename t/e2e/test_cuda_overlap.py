# SPDX-License-Identifier: MIT
"""Calls that come one upon the other: the copies of one go on while another computes. The fake driver
shows the order in which streams are told, and which call is blamed."""

import threading

import pytest

from devserve import x
from gpu import fake, needs_toolkit, with_gpu  # noqa: F401: `fake` is a fixture
from test_cuda import LAUNCH, host, kernel

pytestmark = needs_toolkit

ADDS = 'extern "C" __global__ void twice(int *y, const int *x, int n, float unused) {{ if (threadIdx.x < n) y[threadIdx.x] = x[threadIdx.x] + {0}; }}\n' \
       'extern "C" __global__ void fake_adds_{0}() {{}}\n'
# The first waits until the others are there, so that they are behind it in the ring.
SLOW = "\tif (n == 1)\n\t\tusleep(300000);\n"
LAUNCHED = "launch twice 2x1x1 64x1x1 0"


def write(root, call=SLOW + LAUNCH, device=None, cuda="DEVSERVE_CUDA()"):
    root.write("one/kernel.cu", device or ADDS.format(2))
    root.write("one/one.c", "#include <unistd.h>\n" + host(call).replace("DEVSERVE_CUDA()", cuda))


def row(values):
    return {"inputs": [{"name": "X", "datatype": "INT32", "shape": [len(values)], "data": values}]}


class Asking:
    """Requests that are on their way at the same time, each on a connection of its own."""

    def __init__(self, server):
        self.server, self.threads, self.answers = server, [], {}

    def ask(self, name, request):
        client = self.server.new_client()
        thread = threading.Thread(target=lambda: self.answers.update({name: client.infer("one", request)}))
        thread.start()
        self.threads.append(thread)

    def wait(self):
        for thread in self.threads:
            thread.join()
        return self.answers


def until_called(server, pid, call, before):
    """Until the worker has told its driver so."""
    while call not in server.calls(pid)[before:]:
        pass


def three(server, pid, requests=([7], [8, 9], [1, 2, 3])):
    """Three calls of which two begin while the first is under way; what the driver was told."""
    before = len(server.calls(pid))
    asking = Asking(server)
    asking.ask(1, row(requests[0]))
    until_called(server, pid, "copy in 4", before)
    asking.ask(2, row(requests[1]))
    asking.ask(3, row(requests[2]))
    answers = asking.wait()
    return answers, [c for c in server.calls(pid)[before:] if not c.startswith(("allocate", "pin", "free"))]


def overlapped(size):
    return [f"copy in {size} on 3", "record on 3", "1 waits for 3", LAUNCHED, "progress", "record", "4 waits for 1",
            f"copy out {size} on 4", "record", "record on 4"]


def test_copies_of_calls_that_wait_go_on_while_another_computes(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")
    assert server.infer("one", x(1)).value == 3
    answers, told = three(server, pid)
    assert [answers[n].output("Y") for n in (1, 2, 3)] == [[9], [10, 11], [3, 4, 5]], answers
    second, third = sorted((overlapped(8), overlapped(12)), key=lambda calls: told.index(calls[0]))
    assert told == (["copy in 4", LAUNCHED, "copy out 4", "record"]       # it was alone as it began
                    + ["progress", "record"] + second + third             # and is parted from what comes
                    + ["wait for event", "wait for event on 4", "wait for event on 4"]), told


def test_a_call_that_is_alone_has_one_stream_and_one_wait(root, fake):
    write(root)
    server = fake()
    (pid,) = server.worker_pids("one")
    three(server, pid)
    before = len(server.calls(pid))
    assert server.infer("one", x(1)).value == 3
    assert server.calls(pid)[before:] == ["copy in 4", LAUNCHED, "copy out 4", "record", "wait"]


def test_a_call_that_loses_the_gpu_is_blamed_and_those_before_it_are_answered(root, fake):
    write(root, SLOW + '\tif (n == 3)\n\t\treturn devserve_launch(call->host, "wild", devserve_xyz(3, 2, 1), '
          "devserve_xyz(32, 1, 1), 0,\n\t\t\t\t       call->out[0].data);\n" + LAUNCH, kernel(2))
    server = fake(fault="wild=700")
    (pid,) = server.worker_pids("one")
    mark = server.mark()
    answers, _ = three(server, pid)
    assert [answers[n].status for n in (1, 2, 3)] == [200, 200, 500], answers
    report = server.wait("crash.report", mark, deployment="one")
    assert "kernel wild, grid 3×2×1" in report["what"] and "twice" not in report["what"], report


def save_under_load(server, saves):
    """Six clients ask all the while; each answer must be its generation's."""
    factors, wrong, n, ended = {1: 2}, [], [0], threading.Event()

    def ask(k):
        client = server.new_client()
        while not ended.is_set():
            answer = client.infer("one", row([k] * (1 + k)))
            n[0] += 1
            if answer.status != 200 or answer.output("Y") != [k + factors.get(answer.generation, -1)] * (1 + k):
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    try:
        for i in range(saves):
            factors[i + 2] = 3 + i
            assert server.save("one/kernel.cu", ADDS.format(3 + i))["outcome"] == "swapped"
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not wrong and n[0] > 50, (wrong[:3], n)


def test_a_swap_waits_for_what_is_under_way(root, fake):
    write(root, "\tusleep(2000);\n" + LAUNCH)
    server = fake()
    (pid,) = server.worker_pids("one")
    save_under_load(server, 8)
    told = server.calls(pid)
    assert sum(c.startswith("copy in") and c.endswith("on 3") for c in told) > 20, "they did overlap"


def test_the_new_code_launches_nothing_before_all_of_the_old_has_ended(root, fake):
    def source(generation):
        return host(LAUNCH.replace("devserve_xyz(2,", f"devserve_xyz({generation},"))

    root.write("one/kernel.cu", kernel(2))
    root.write("one/one.c", source(1))
    server = fake(env={"FAKE_CUDA_WAIT_MS": "10"})
    (pid,) = server.worker_pids("one")
    ended = threading.Event()

    def ask():
        client = server.new_client()
        while not ended.is_set():
            assert client.infer("one", x(1)).status == 200

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for generation in range(2, 6):
            assert server.save("one/one.c", source(generation))["outcome"] == "swapped"
        assert server.infer("one", x(1)).generation == 5
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    told, seen, launched, ends = server.calls(pid), 1, 0, 0
    for call in told:
        if call.startswith("launch twice "):
            generation = int(call.split()[2].split("x")[0])
            assert generation == seen or ends >= launched, (generation, told)
            launched, seen = launched + 1, generation
        elif call == "wait" or call.startswith("wait for event"):
            ends += 1
        elif call == "unload library":
            ends -= 1  # it waited, too
    assert seen == 5 and [c for c in told if c.endswith("on 3")], told


def test_graphs_are_captured_and_replayed_also_of_calls_that_overlap(root, fake):
    write(root, "\tusleep(n == 1 ? 3000 : 0);\n" + LAUNCH, cuda="DEVSERVE_CUDA(.graphs = 1)")
    server = fake()
    wrong = []

    def ask(k):
        client = server.new_client()
        for i in range(60):
            answer = client.infer("one", row([i] * k))
            if answer.status != 200 or answer.output("Y") != [i + 2] * k:
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(1 + k % 2,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    (pid,) = server.worker_pids("one")
    told = server.calls(pid)
    assert sum(c.startswith("launch graph") for c in told) > 100 and not [c for c in told if "during a capture" in c], told
    assert sum(c.startswith("instantiate") for c in told) <= 6, "one for each shape and place"


def test_with_a_state_each_call_waits_for_the_one_before(root, fake):
    write(root)
    text = root.read("one/one.c").replace("#include <devserve/ext/cuda.h>", "#include <devserve/ext/cuda.h>\n#include <devserve/ext/state.h>")
    text = text.replace("static int create(", "struct counter { int n; };\nDEVSERVE_STATE(struct counter, .version = 1)\n\nstatic int create(", 1)
    root.write("one/one.c", text.replace("{ DEVSERVE_CUDA_EXTENSION }", "{ DEVSERVE_CUDA_EXTENSION, DEVSERVE_STATE_EXTENSION }"))
    server = fake()
    (pid,) = server.worker_pids("one")
    answers, told = three(server, pid)
    assert [answers[n].output("Y") for n in (1, 2, 3)] == [[9], [10, 11], [3, 4, 5]], answers
    assert told.count("wait") == 3 and not [c for c in told if c.endswith("on 3")], told


# With a GPU


@with_gpu
def test_overlapping_calls_answer_right_through_saves(root, serve):
    write(root, LAUNCH, ADDS.format(2))
    save_under_load(serve("--create-timeout=60"), 10)


@with_gpu
def test_an_illegal_address_beside_other_calls_is_the_end_of_one_alone(root, serve):
    write(root, '\tif (n == 3)\n\t\treturn devserve_launch(call->host, "wild", devserve_xyz(3, 2, 1), devserve_xyz(32, 1, 1), 0,\n'
          "\t\t\t\t       call->out[0].data);\n" + LAUNCH, kernel(2))
    server = serve("--create-timeout=60")
    asking = Asking(server)
    for k in range(12):
        asking.ask(k, row([k] * (3 if k == 6 else 2)))
    answers = asking.wait()
    assert [k for k, a in answers.items() if a.status != 200] == [6], answers
    assert all(a.output("Y") == [2 * k] * 2 for k, a in answers.items() if k != 6), answers
