# SPDX-License-Identifier: MIT
"""A worker that the kernel kills for want of memory: in a control group that gives it little."""

import contextlib
import os
import pathlib

import pytest

from devserve import constant, deployment, x

LIMIT = 64 << 20
HUNGRY = deployment("\tif (x == 1)\n\t\ttake();\n\t*y = 2;", f"""#include <stdlib.h>
static void take(void)
{{
	volatile char *p = malloc({4 * LIMIT});

	for (size_t i = 0; p && i < {4 * LIMIT}; i += 4096)
		p[i] = 1;
}}
""")

V1, V2 = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")


@pytest.fixture
def little_memory():
    """A control group whose processes get LIMIT bytes; skipped where we may make none."""
    v1 = (V1 / "memory.limit_in_bytes").exists()
    group = (V1 if v1 else V2) / f"devserve-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(LIMIT))
        with contextlib.suppress(OSError):  # without swap there is no such file
            (group / ("memory.memsw.limit_in_bytes" if v1 else "memory.swap.max")).write_text(str(LIMIT if v1 else 0))
    except OSError as e:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group can be made here: {e}")
    yield group
    group.rmdir()


def test_a_worker_killed_for_want_of_memory_costs_no_answer_and_is_said_to_be_that(root, serve, little_memory):
    root.write("one/one.c", constant(1))
    server = serve()
    server.save("one/one.c", HUNGRY)
    assert server.infer("one", x(0)).value == 2
    [pid] = server.worker_pids("one")
    (little_memory / "cgroup.procs").write_text(str(pid))
    mark = server.mark()
    answer = server.infer("one", x(1))
    died = server.wait("worker.died", mark, deployment="one", pid=pid)
    assert "for want of memory" in died["reason"], died
    assert (answer.status, answer.value, answer.generation) == (200, 2, 2)  # by the next worker
    answer = server.infer("one", x(0))
    assert (answer.value, answer.generation, answer.stale) == (2, 2, None)  # the code isn't blamed for it
