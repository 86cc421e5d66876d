# SPDX-License-Identifier: MIT
"""The helper processes die, the server dies, the disk is full: what is kept, what is said."""

import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from devserve import PATIENCE, constant, fill, wait_until_gone


def children_of(pid):
    """Direct children: {pid: program}."""
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    names = {}
    for c in text.split():
        try:
            names[int(c)] = os.path.basename(os.readlink(f"/proc/{c}/exe"))
        except FileNotFoundError:
            pass  # it has ended meanwhile
    return names


def one_child(server, program):
    """The child that runs `program`, as soon as there is one."""
    while True:
        for pid, name in children_of(server.process.pid).items():
            if name == program:
                return pid


def test_no_save_is_missed_while_the_watcher_is_killed(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    for i in range(1, 9):
        mark = server.mark()
        if i % 2:
            os.kill(one_child(server, "devserve-watch"), signal.SIGKILL)
        root.rename_over("one/one.c", constant(i))
        if not i % 2:
            os.kill(one_child(server, "devserve-watch"), signal.SIGKILL)
        notice = server.wait("notice", mark)
        assert "devserve-watch" in notice["reason"], notice
        server.wait("save.done", mark, deployment="one", outcome="swapped")
        assert server.infer("one").value == i


def test_a_killed_compiler_is_told_and_the_same_text_is_built_at_the_next_save(root, serve):
    long = "".join(f"int f{i}(int *x) {{ for (int i = 0; i < 64; i++) x[i] = x[i] * {i} + x[i ^ 1]; return *x; }}\n"
                   for i in range(1500))
    root.write("one/one.c", constant(1))
    server = serve()
    mark = server.mark()
    root.rename_over("one/one.c", constant(2, long))
    os.kill(one_child(server, "cc1"), signal.SIGKILL)
    done = server.wait("save.done", mark)
    assert done["outcome"] == "build-failed" and "killed" in done["reason"] and "save again" in done["reason"], done
    assert server.infer("one").value == 1
    done = server.save("one/one.c", constant(2, long))
    assert done["outcome"] == "swapped", done
    assert server.infer("one").value == 2


def test_everything_ends_with_a_server_that_is_killed_and_the_next_one_goes_on(root, serve):
    root.write("one/one.c", constant(1))
    first = serve()
    assert first.save("one/one.c", constant(2))["generation"] == 2
    root.write("two/two.c", constant(7))
    first.wait("save.done", deployment="two")
    started = children_of(first.process.pid)
    assert sum(name == "devserve-worker" for name in started.values()) >= 2
    first.process.kill()
    first.process.wait()
    for pid in started:
        wait_until_gone(pid)
    first.process.returncode = 0  # the fixture need not wonder

    second = serve()
    for name, value, generation in (("one", 2, 2), ("two", 7, 1)):
        done = second.wait("save.done", deployment=name)
        assert done["cached"] and done["outcome"] == "swapped", done
        answer = second.infer(name)
        assert (answer.value, answer.generation) == (value, generation)
    assert os.listdir(root.path / ".devserve/generations") == [str(second.process.pid)]  # the first one's are gone


def test_a_compiler_ends_with_a_server_that_is_killed_and_what_it_started_too(root, serve, tmp_path):
    """As gcc starts cc1, this one starts something, and waits for it."""
    pids, script = tmp_path / "pids", tmp_path / "cc"
    script.write_text(f"""#!/bin/sh
case " $* " in *" -### "*) exit 1 ;; *" -c "*) sleep 1000 & echo $$ $! >'{pids}.new'; mv '{pids}.new' '{pids}'; wait ;; esac
exec gcc "$@"
""")
    script.chmod(0o755)
    root.write("one/one.c", constant(1))
    server = serve(ready=False, env={"CC": str(script)})
    while not pids.exists():
        pass
    started = [int(pid) for pid in pids.read_text().split()]
    server.process.kill()
    server.process.wait()
    server.process.returncode = 0  # the fixture need not wonder
    try:
        for pid in started:
            wait_until_gone(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started[0], signal.SIGKILL)


def test_a_full_disk_is_told_and_nothing_is_lost_by_it(root, serve, small_disk):
    root.write("one/one.c", constant(1))
    server = serve("--state-dir", str(small_disk))
    filler = fill(small_disk)
    done = server.save("one/one.c", constant(2))
    assert done["outcome"] in ("build-failed", "refused"), done
    assert str(small_disk) in done["reason"] and "No space left" in done["reason"], done
    assert done["reason"].startswith("cannot "), done  # not at a line of the source
    assert server.infer("one").value == 1
    filler.unlink()
    done = server.save("one/one.c", constant(2))
    assert done["outcome"] == "swapped", done
    assert server.infer("one").value == 2


def test_a_log_on_a_full_disk_is_told_once_and_goes_on_when_there_is_room(root, serve, small_disk):
    root.write("one.c", constant("say(*(const int *)call->in[0].data)", """
#include <stdio.h>
static int say(int n) { printf("line %d of some length, so that a page is full soon, and another one, too\\n", n); return n; }
"""))
    server = serve("--state-dir", str(small_disk))
    number = itertools.count()

    def say():
        n = next(number)
        server.infer("one", {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1], "data": [n]}]})
        server.wait("log", deployment="one", text=f"line {n} of some length, so that a page is full soon, and another one, too")

    file = small_disk / "logs/one.log"
    say()
    filler = fill(small_disk)
    mark = server.mark()
    for _ in range(100):  # a page and more: a part of a write succeeds, then none does
        say()
    said = f"cannot write {file}: No space left on device; lines are not kept until it can be written"
    server.wait("notice", mark, reason=said)
    filler.unlink()
    while "are missing here" not in file.read_text():
        say()
    assert server.stop() == 0
    assert len(server.seen("notice", mark, reason=said)) == 1
    lines = [line[24:] for line in file.read_text().splitlines()]
    place = next(i for i, line in enumerate(lines) if "are missing here" in line)
    missing = int(re.fullmatch(r" warning \((\d+) lines are missing here\)", lines[place])[1])
    numbers = [int(re.fullmatch(r" gen 1 info line (\d+) of some length.*too", line)[1])
               for line in lines[:place] + lines[place + 1:]]
    assert numbers == [*range(place), *range(place + missing, next(number))]


def names_in_process_lists(pid):
    """Those of `ps -o args=` and of top."""
    arguments = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout
    return arguments.split()[1:], pathlib.Path(f"/proc/{pid}/comm").read_text().rstrip("\n")


def test_process_lists_call_a_worker_by_the_deployment_it_serves(root, serve):
    long = "a-name-of-" + 54 * "x"
    root.write("one/one.c", constant(1))
    root.write(f"{long}/two.c", constant(2))
    server = serve()
    for name in ("one", long):
        (pid,) = server.worker_pids(name)
        assert names_in_process_lists(pid) == ([name], name[:15])
    server.save("one/one.c", constant(3))  # the worker of its trial stays as the spare
    spare = next(d["spare_pid"] for d in server.status()["deployments"] if d["name"] == "one")
    assert names_in_process_lists(spare) == (["spare"], "devserve-worker")
    mark = server.mark()
    os.kill(server.worker_pids("one")[0], signal.SIGKILL)
    heir = server.wait("worker.replaced", mark, deployment="one")["pid"]
    assert server.infer("one").value == 3
    assert names_in_process_lists(heir)[0] == ["one"]


def test_spares_are_started_when_all_serve(root, serve, compiler):
    root.write("one/one.c", constant(1))
    server = serve(env=compiler.env)
    server.stop()
    root.write("two/two.c", constant(2))
    compiler.hold()
    server = serve(env=compiler.env, ready=False)
    server.wait("save.done", deployment="one", outcome="swapped")
    mark, before = server.mark(), set(server.worker_pids("one"))
    os.kill(before.pop(), signal.SIGKILL)
    server.wait("worker.replaced", mark, deployment="one")  # without a spare, too
    assert not any("spare_pid" in d for d in server.status()["deployments"])
    compiler.go()
    server.wait("server.ready")
    deadline = time.monotonic() + PATIENCE
    while not all("spare_pid" in d for d in server.status()["deployments"]):
        assert time.monotonic() < deadline
