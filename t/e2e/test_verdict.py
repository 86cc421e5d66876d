# SPDX-License-Identifier: MIT
"""After a save it is told whether it is faster. How well, over hundreds of saves, is bench/power's business:
here what is true on any machine, however busy: the direction, and that nobody is in its way."""

import os
import pathlib
import time

import pytest

from devserve import X, Client, constant, deployment, devserve, wait_until_gone


def kernel(loops, extra=""):
    """One whose time is that of `loops` turns; what it answers is the same with any."""
    return deployment(f"""\
	volatile int32_t sum = 0;

	for (int i = 0; i < {loops}; i++)
		sum = sum + 1;
	*y = x;""", extra)


@pytest.fixture
def one(root, serve):
    root.write("one/one.c", kernel(2000))
    server = serve()
    for _ in range(3):
        assert server.infer("one").status == 200
    return server


def save(server, text):
    mark = server.mark()
    done = server.save("one/one.c", text)
    assert done["outcome"] == "swapped"
    return mark, done


def verdict(server, text):
    mark, done = save(server, text)
    told = server.wait("verdict", mark, deployment="one", generation=done["generation"])
    assert told["from"] == done["from"], told
    return told


def status(server):
    return next(d for d in server.status()["deployments"] if d["name"] == "one")


def test_what_is_twice_as_fast_is_faster_and_the_way_back_slower(one):
    told = verdict(one, kernel(1000))
    assert told["verdict"] in ("FASTER", "UNSURE") and told["ratio"] > 1.5, told
    low, high = told["interval"]
    assert low <= told["ratio"] <= high and low > 1, told
    assert told["rounds"] > 0 and told["inputs"][0]["input"] == "X INT32[1]", told
    assert told["inputs"][0]["before_us"] > told["inputs"][0]["after_us"] > 0, told
    assert status(one)["verdict"]["verdict"] == told["verdict"]

    told = verdict(one, kernel(2000))
    assert told["verdict"] in ("SLOWER", "UNSURE") and told["ratio"] < 0.7, told


def test_the_same_work_in_other_bytes_is_neither(one):
    told = verdict(one, kernel(2000, "int other(int a);\nint other(int a) { return a * 7; }\n"))
    assert told["verdict"] in ("SAME", "UNSURE"), told


def test_what_is_identical_but_for_line_tables_is_not_timed(one):
    mark, done = save(one, "/* a comment */\n" + kernel(2000))
    assert done["identical"]
    later, done = save(one, kernel(1000))
    one.wait("verdict", later, generation=done["generation"])
    assert [e["generation"] for e in one.seen("verdict", mark)] == [done["generation"]]


def test_without_a_recorded_request_there_is_nothing_to_tell(root, serve):
    root.write("one/one.c", kernel(2000))
    server = serve()
    mark, _ = save(server, kernel(1000))
    assert server.infer("one").status == 200
    _, done = save(server, kernel(3000))
    server.wait("verdict", mark, generation=done["generation"])
    assert len(server.seen("verdict", mark)) == 1
    assert "verdict" in status(server)


def test_what_serves_again_has_no_verdict_of_another_generation(one, root):
    verdict(one, kernel(1000))
    assert status(one)["verdict"]["from"] == 1
    assert devserve("rollback", "one", "--root", root.path).returncode == 0
    assert status(one)["generation"] == 1 and "verdict" not in status(one)


def test_no_verdict_is_told_where_nobody_wants_one(root, serve):
    root.write("one/one.c", kernel(2000))
    server = serve("--no-verdict")
    assert server.infer("one").status == 200
    mark, _ = save(server, kernel(1000))
    time.sleep(0.5)  # for something not to happen there is no event to wait for
    assert not server.seen("verdict", mark) and "verdict" not in status(server)


def measured_when(text, condition):
    """`text` with a create() that doesn't return in the worker that measures, unless `condition` holds."""
    return text.replace("static int infer(", f"""\
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int create(const struct devserve_host *host, void **self)
{{
	char line[256] = "";
	FILE *f = fopen("/proc/self/cmdline", "r");
	size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;

	(void)host, (void)self;
	while (memmem(line, n, "(verdict)", 9) && !({condition}))
		usleep(1000);
	if (f)
		fclose(f);
	return 0;
}}

static int infer(""", 1).replace(".infer = infer,", ".infer = infer, .create = create,").replace(
        "#include", "#define _GNU_SOURCE\n#include", 1)


def endless(number):
    """One whose create() never returns in the worker that measures."""
    return measured_when(kernel(2000 + number), "0")


def children(server):
    return {int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
            and parent(p) == server.process.pid}


def parent(process):
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def measuring(server):
    """The worker that measures, or None."""
    for pid in children(server):
        try:
            if "(verdict)" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        except OSError:
            pass
    return None


def wait_measuring(server):
    deadline = time.monotonic() + 20
    while not (pid := measuring(server)):
        assert time.monotonic() < deadline, "nothing measures"
    return pid


def test_it_runs_where_nobody_else_wants_to_and_a_newer_save_ends_it(one):
    mark, first = save(one, endless(1))
    pid = wait_measuring(one)
    deadline = time.monotonic() + 20
    while os.sched_getscheduler(pid) != os.SCHED_IDLE:  # just started
        assert time.monotonic() < deadline, "it runs as others do"
    _, second = save(one, kernel(1000))
    wait_until_gone(pid)
    one.wait("verdict", mark, generation=second["generation"])
    assert not one.seen("verdict", mark, generation=first["generation"]), "what was dropped is not told"


def test_requests_are_answered_meanwhile(one):
    save(one, endless(1))
    pid = wait_measuring(one)
    client = Client(one.url)
    for _ in range(50):
        assert client.infer("one", X).status == 200
    client.close()
    assert measuring(one) in (pid, None)


def test_a_generation_that_dies_of_it_costs_a_sentence(root, serve, tmp_path):
    """Killing the worker is all that can be done from here; it is told, and all serves on."""
    root.write("one/one.c", kernel(2000))
    server = serve()
    assert server.infer("one").status == 200
    mark, done = save(server, endless(1))
    os.kill(wait_measuring(server), 9)
    told = server.wait("verdict", mark, generation=done["generation"])
    assert told["verdict"] == "UNSURE" and "was killed" in told["reason"] and "ratio" not in told, told
    assert server.infer("one").generation == done["generation"]


def test_what_takes_too_long_is_given_up(one):
    told = verdict(one, endless(1))
    assert told["verdict"] == "UNSURE" and "took too long" in told["reason"], told
    if (pid := measuring(one)) is not None:
        wait_until_gone(pid)


def counting(loops):
    return f"""\
#include <devserve/deployment.h>
#include <devserve/ext/state.h>

struct counter {{
	int64_t calls;
}};

DEVSERVE_STATE(struct counter, .version = 1)

static int infer(const struct devserve_call *call)
{{
	volatile int sum = 0;

	for (int i = 0; i < {loops}; i++)
		sum = sum + 1;
	*(int32_t *)call->out[0].data = (int32_t)++devserve_state(call)->calls;
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
	.extensions = {{ DEVSERVE_STATE_EXTENSION }},
)
"""


def test_the_state_that_serves_is_not_touched(root, serve):
    root.write("one/one.c", counting(3000))
    server = serve()
    assert [server.infer("one").value for _ in range(3)] == [1, 2, 3]
    told = verdict(server, counting(1500))
    assert told["rounds"] > 0 and told["ratio"] > 1.2, told
    assert server.infer("one").value == 4


def test_a_state_that_the_generation_before_cannot_go_back_to_is_told_without_advice(root, serve, tmp_path):
    written = tmp_path / "written"  # the new generation's state, by its first call
    text = measured_when(counting(3000).replace("int64_t calls;", "int32_t calls;"), f'access("{written}", F_OK) == 0')
    root.write("one/one.c", text)
    server = serve()
    assert [server.infer("one").value for _ in range(3)] == [1, 2, 3]
    mark, done = save(server, text.replace("int32_t calls;", "int64_t calls;"))
    assert server.infer("one").value == 4
    written.touch()
    told = server.wait("verdict", mark, deployment="one", generation=done["generation"])
    assert told["verdict"] == "UNSURE" and "ratio" not in told, told
    assert told["reason"] == "the generation before can't run on the state as it is now", told


def test_images_that_were_mapped_for_it_leave_no_files(one):
    verdict(one, kernel(1000))
    left = [p.name for p in (one.root.path / ".devserve").rglob("*") if p.suffix not in ("", ".so")]
    assert not [name for name in left if ".so." in name], left
