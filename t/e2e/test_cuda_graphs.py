# SPDX-License-Identifier: MIT
"""CUDA graphs: captured once a shape, replayed afterwards, and never of what is no more. The fake driver
computes nothing but copies; what graphs of kernels answer is tried where a GPU is."""

import threading
import time

import numpy
import pytest

from devserve import PATIENCE, x
from gpu import fake, needs_toolkit, with_gpu  # noqa: F401: `fake` is a fixture
from test_cuda import LAUNCH, host, kernel

pytestmark = needs_toolkit

# Two copies by way of scratch memory: a fake can do that, too.
COPY = """\
	uint64_t size = call->in[0].size;
	void *middle = devserve_cuda_scratch(call->host, size);

	(void)n;
	if (!middle || devserve_cuda_copy(call->host, middle, call->in[0].data, size))
		return -1;
	return devserve_cuda_copy(call->host, call->out[0].data, middle, size);"""
PLAIN = ["copy in 4", "launch twice 2x1x1 64x1x1 0", "copy out 4", "record", "wait"]


def captured(number):
    return ["copy in 4", "begin capture 1", "launch twice 2x1x1 64x1x1 0", "end capture", f"instantiate graph {number}",
            f"launch graph {number}", "copy out 4", "record", "wait"]


def replayed(number):
    return ["copy in 4", f"launch graph {number}", "copy out 4", "record", "wait"]


def graphs(call=LAUNCH):
    return host(call).replace("DEVSERVE_CUDA()", "DEVSERVE_CUDA(.graphs = 1)")


def write(root, call=LAUNCH):
    root.write("one/kernel.cu", kernel(2))
    root.write("one/one.c", graphs(call))


def row(values):
    return {"inputs": [{"name": "X", "datatype": "INT32", "shape": [len(values)], "data": values}]}


class Driver:
    """What the one worker of `one` told the fake driver since the last look."""

    def __init__(self, server):
        (self.pid,) = server.worker_pids("one")
        self.server = server
        self.at = len(server.calls(self.pid))

    def told(self):
        calls = self.server.calls(self.pid)
        new, self.at = calls[self.at:], len(calls)
        return [c for c in new if not c.startswith(("allocate", "pin"))]

    def ask(self, request):
        assert self.server.infer("one", request).status == 200
        return self.told()


def test_the_second_call_of_a_shape_is_captured_and_later_ones_replayed(root, fake):
    write(root)
    driver = Driver(fake())
    assert driver.ask(x(5)) == PLAIN
    assert driver.ask(x(6)) == captured(1)
    assert driver.ask(x(7)) == replayed(1)
    assert driver.ask(row([1, 2])) == [c.replace("4", "8", 1) if c.startswith("copy") else c for c in PLAIN], "another shape"
    assert driver.ask(x(8)) == replayed(1)


def test_what_a_trial_captured_is_not_launched_for_those_who_are_served(root, fake):
    """It fills and guards the outputs, too. The worker of a first trial comes to serve."""
    write(root, COPY)
    for side, name in ("in", "X"), ("out", "Y"):
        (root.path / "one/golden/one" / side).mkdir(parents=True)
        numpy.save(root.path / "one/golden/one" / side / f"{name}.npy", numpy.array([5], numpy.int32))
    server = fake("--gate", "golden")
    driver = Driver(server)
    assert any(c.startswith("launch graph") for c in server.calls(driver.pid)), "the trial had none"
    assert not [c for c in driver.ask(x(5)) if "capture" in c or "graph" in c]
    assert any(c == "end capture" for c in driver.ask(x(5)))


def test_without_the_promise_nothing_is_captured(root, fake):
    root.write("one/kernel.cu", kernel(2))
    root.write("one/one.c", host())
    driver = Driver(fake())
    assert [driver.ask(x(5)) for _ in range(3)] == [PLAIN] * 3


@pytest.mark.parametrize("what", ["kernel.cu", "one.c"])
def test_a_save_makes_new_graphs(root, fake, what):
    write(root)
    server = fake()
    driver = Driver(server)
    for _ in range(3):
        driver.ask(x(5))
    assert server.save(f"one/{what}", kernel(3) if what == "kernel.cu" else graphs() + "\nint again;\n")["outcome"] == "swapped"
    swap, deadline = driver.told(), time.monotonic() + PATIENCE
    while "unload library" not in swap:  # it waits for nobody, and nobody for it
        assert server.status() and time.monotonic() < deadline, swap
        swap += driver.told()
    assert not [c for c in swap if c.startswith("launch")], swap
    unloads = [c for c in swap if c in ("destroy graph 1", "unload library")]
    assert unloads == ["destroy graph 1", "unload library"], "a graph goes before the code that it launches"
    first, second, third = (driver.ask(x(5)) for _ in range(3))
    first = [c for c in first if not c.startswith("free")]
    assert (first, second, third) == (PLAIN, captured(2), replayed(2))


def test_answers_are_right_while_calls_of_other_shapes_move_the_memory(root, fake):
    write(root, COPY)
    server = fake()
    driver = Driver(server)
    for round_, n in enumerate([1, 1, 1, 3, 3, 3, 1, 1 << 18, 1, 1, 3, 3, 1 << 19, 1 << 19, 1 << 19, 1, 1, 1, 3, 3]):
        values = [round_ * 10 + k % 7 for k in range(n)]
        assert server.infer("one", row(values)).output("Y") == values, (round_, n)
    told = driver.told()
    assert 3 < sum(c.startswith("begin capture") for c in told) < 12, told
    assert [c for c in told if c.startswith("destroy graph")], "the memory of the first moved"
    assert [c for c in told if c.startswith("launch graph")], told
    driver.ask(x(4))
    assert not [c for c in driver.ask(x(4)) if "capture" in c], "nothing moves any more"


def test_outputs_whose_shape_infer_finds_are_replayed_with_it(root, fake):
    write(root, """\
	uint64_t size = call->in[0].size;
	void *middle = devserve_cuda_scratch(call->host, size), *y = devserve_make(call, 0, n, 1);

	if (!middle || !y || devserve_cuda_copy(call->host, middle, call->in[0].data, size))
		return -1;
	return devserve_cuda_copy(call->host, y, middle, size);""")
    root.write("one/one.c", root.read("one/one.c").replace(".shape = DEVSERVE_SAME_SHAPE,", "").replace(
        '{ "Y", DEVSERVE_INT32, { -1 } }', '{ "Y", DEVSERVE_INT32, { -1, -1 } }'))
    server = fake()
    driver = Driver(server)
    for values in ([1, 2, 3], [4, 5, 6], [7, 8, 9], [1], [2], [3], [3, 2, 1]):
        answer = server.infer("one", row(values))
        assert answer.output("Y") == values and answer.json["outputs"][0]["shape"] == [len(values), 1], answer
    assert sum(c.startswith("begin capture") for c in driver.told()) == 2


@pytest.mark.parametrize("call, why", [
    ("\tif (devserve_cuda_synchronize(call->host))\n\t\treturn -1;\n" + LAUNCH, "it waits for the GPU"),
    ("\tvoid *more = devserve_cuda_allocate(call->host, 16);\n\n\tif (!more)\n\t\treturn -1;\n"
     "\tdevserve_cuda_release(call->host, more);\n" + LAUNCH, "it allocates memory"),
    ("\tstatic int host[64];\n\n\tif (devserve_cuda_copy(call->host, host, call->in[0].data, 4))\n\t\treturn -1;\n" + LAUNCH,
     "it copies to or from the host's memory"),
    ("\tstatic int calls;\n\n\tcalls++;\n" + LAUNCH.replace(", 0,", ", calls > 1 ? 65536 : 0,"),
     "more shared memory than in the call of this shape before"),
    ("\tstatic int calls;\n\n\tif (!devserve_cuda_scratch(call->host, calls++ * 3000000))\n\t\treturn -1;\n" + LAUNCH,
     "it took more memory than the call of this shape before"),
    ("\tstatic int calls;\n\n\tif (++calls == 2)\n\t\treturn -7;\n" + LAUNCH, "infer() returned -7 then, and 0 without"),
])
def test_a_call_that_cannot_be_captured_is_run_as_it_is_and_its_author_told_once(root, fake, call, why):
    write(root, call)
    server = fake()
    mark = server.mark()
    driver = Driver(server)
    driver.ask(x(5))
    second = driver.ask(x(5))
    assert second.count("begin capture 1") == 1 and second.count("end capture") == 1, second
    assert [c for c in second[second.index("end capture"):] if c.startswith("launch")] != [], "it was run once more"
    assert not [c for c in second if "during a capture" in c or c.startswith("launch graph")], second
    for _ in range(3):
        assert not [c for c in driver.ask(x(5)) if "capture" in c or "graph" in c]
    server.wait("log", mark, deployment="one")
    server.stop()
    said = [e["text"] for e in server.seen("log", mark, deployment="one") if "CUDA graph" in e["text"]]
    assert len(said) == 1 and why in said[0], said


def test_a_driver_that_makes_no_graph_of_it_costs_nothing_but_a_warning(root, fake):
    write(root)
    server = fake(env={"FAKE_CUDA_NO_GRAPHS": "1"})
    driver = Driver(server)
    assert driver.ask(x(5)) == PLAIN
    second = driver.ask(x(5))
    assert second == ["copy in 4", "begin capture 1", PLAIN[1], "end capture"] + PLAIN[1:], second
    assert driver.ask(x(5)) == PLAIN
    assert "CUDA graph: CUDA_ERROR (801)" in server.wait("log", deployment="one")["text"]


def test_tensors_in_the_hosts_memory_leave_nothing_to_replay(root, fake):
    write(root)
    root.write("one/one.c", graphs("\t(void)n;\n\t*(int *)call->out[0].data = *(const int *)call->in[0].data;\n\treturn 0;").replace(
        ".graphs = 1", ".host_inputs = 1, .host_outputs = 1, .graphs = 1"))
    server = fake()
    assert [server.infer("one", x(k)).value for k in range(4)] == [0, 1, 2, 3]
    server.stop()
    said = [e["text"] for e in server.seen("log", deployment="one")]
    assert len(said) == 1 and "an input stays in the host's memory" in said[0], said


def test_graphs_are_bounded_in_number(root, fake):
    write(root, COPY)
    server = fake()
    driver = Driver(server)
    for n in range(1, 41):
        for k in range(3):
            assert server.infer("one", row([k] * n)).output("Y") == [k] * n
        server.infer("one", x(1))
    told = driver.told()
    made, gone = (sum(c.startswith(word) for c in told) for word in ("instantiate", "destroy graph"))
    assert (made, gone) == (40, 8), told
    assert not [c for c in driver.ask(x(1)) if "capture" in c], "what is used stays"


def test_a_fault_in_a_graph_is_blamed_on_the_kernels_in_it(root, fake):
    write(root)
    server = fake(fault="twice=700@3")
    driver = Driver(server)
    driver.ask(x(1))
    assert "launch graph 1" in driver.ask(x(1))
    mark = server.mark()
    assert server.infer("one", x(1)).status == 500
    report = server.wait("crash.report", mark, deployment="one")
    assert "CUDA_ERROR_ILLEGAL_ADDRESS (700)" in report["what"] and "kernel twice, grid 2×1×1, block 64×1×1" in report["what"], report


def test_nothing_is_loaded_or_unloaded_during_a_capture(root, fake):
    write(root, "\tusleep(2000);\n" + LAUNCH)
    root.write("one/one.c", "#include <unistd.h>\n" + root.read("one/one.c"))
    server = fake(env={"FAKE_CUDA_LOAD_MS": "100"})
    driver = Driver(server)
    ended = threading.Event()

    def ask():
        client, n = server.new_client(), 0
        while not ended.is_set():
            n += 1  # twice of each shape: half of the time a call is being captured
            assert client.infer("one", row([1] * (1 + n // 2 % 60))).status == 200

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for i in range(5):
            assert server.save("one/kernel.cu", kernel(3 + i))["outcome"] == "swapped"
    finally:
        ended.set()
        thread.join()
    told = driver.told()
    assert [c for c in told if c.startswith("begin capture")] and told.count("load library") == 5, told
    assert not [c for c in told if "during a capture" in c]


# With a GPU


@with_gpu
def test_graphs_answer_right_through_saves_of_both_kinds(root, serve):
    write(root)
    server = serve("--create-timeout=60")
    for factor in range(2, 8):
        for k in range(5):
            assert server.infer("one", x(k)).value == factor * k
            assert server.infer("one", row([k, k + 1])).output("Y") == [factor * k, factor * (k + 1)]
        assert server.save("one/kernel.cu", kernel(factor + 1))["outcome"] == "swapped"
        assert server.save("one/one.c", graphs() + f"\nint again{factor};\n")["outcome"] == "swapped"
    assert not [e for e in server.seen("log", deployment="one") if "CUDA graph" in e["text"]], "all of them were captured"


@with_gpu
def test_a_capture_that_waits_ends_and_the_answer_is_right(root, serve):
    write(root, "\tif (devserve_cuda_synchronize(call->host))\n\t\treturn -1;\n" + LAUNCH)
    server = serve("--create-timeout=60")
    assert [server.infer("one", x(k)).value for k in range(5)] == [0, 2, 4, 6, 8]
    assert "it waits for the GPU" in server.wait("log", deployment="one")["text"]


@with_gpu
def test_a_fault_in_a_replay_costs_the_worker_and_names_the_kernel(root, serve):
    root.write("one/kernel.cu", 'extern "C" __global__ void at(int *y, const int *x) { y[x[0] * (1ll << 40)] = 7; }\n')
    root.write("one/one.c", graphs('\t(void)n;\n\treturn devserve_launch(call->host, "at", devserve_xyz(1, 1, 1), '
                                   'devserve_xyz(1, 1, 1), 0, call->out[0].data, call->in[0].data);'))
    server = serve("--create-timeout=60")
    assert [server.infer("one", x(0)).value for _ in range(4)] == [7] * 4
    mark = server.mark()
    assert server.infer("one", x(1)).status == 500
    assert "kernel at, grid 1×1×1" in server.wait("crash.report", mark, deployment="one")["what"]
    assert server.infer("one", x(0)).value == 7
