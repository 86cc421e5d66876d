# SPDX-License-Identifier: MIT
"""Loops that a save made, or kept, the compiler from vectorising are told by line."""

import os
import shutil
import time

import pytest

from devserve import PATIENCE, deployment

pytestmark = pytest.mark.skipif("clang" in os.environ.get("CC", "") or not shutil.which("gcc"),
                                reason="the words are gcc's")

SCALE = """\
static void scale(float *restrict y, const float *restrict x, int n)
{
	for (int i = 0; i < n; i++)
		y[i] = 2 * x[i];
}
"""
BODY = """\
	float in[64] = { (float)x }, out[64];
	scale(out, in, 60 + x % 2);
	*y = (int32_t)out[0];
"""
VECTORS = deployment(BODY, "__attribute__((noinline)) " + SCALE)
NONE = VECTORS.replace("y[i] = 2 * x[i];", "if (x[i] < 0)\n\t\t\tbreak;\n\t\telse\n\t\t\ty[i] = 2 * x[i];")
LINE = VECTORS.split("for (")[0].count("\n") + 1


@pytest.fixture
def server(root, serve):
    root.write("one/one.c", VECTORS)
    server = serve()
    server.status()  # what was told of the first is known before a next one is answered
    return server


def files(server):
    """What the compiler said, a file for each source that it was asked about."""
    return list((server.root.path / ".devserve/loops").iterdir())


def wait_for_files(server, n):
    """The compiler is asked when a save has ended, clang also after the first; that all loops are as they were is not told."""
    deadline = time.monotonic() + PATIENCE
    while len(files(server)) < n:  # each look is an answer of the server's, no time is waited for
        assert server.status() and time.monotonic() < deadline, "the compiler was not asked"


def save(server, name, text):
    """Save; the loops that are told of next."""
    mark = server.mark()
    server.save(name, text)
    return server.wait("loops.changed", mark)["loops"]


def test_a_loop_that_is_no_longer_vectorised_is_told_with_its_line_and_why(server):
    mark = server.mark()
    server.save("one/one.c", NONE)
    event = server.wait("loops.changed", mark, deployment="one")
    assert (event["generation"], event["from"]) == (2, 1)
    (loop,) = event["loops"]
    assert (loop["file"], loop["line"], loop["vectorized"]) == (str(server.root.path / "one/one.c"), LINE, False)
    assert loop["reason"]  # the compiler's words: gcc 12 speaks of the control flow, 14 of the statement
    (loop,) = save(server, "one/one.c", "/* moved */\n" + VECTORS)
    assert (loop["line"], loop["vectorized"]) == (LINE + 1, True) and loop["bytes"] >= 16


def test_what_stays_as_it_was_is_not_told(server):
    mark = server.mark()
    server.save("one/one.c", "\n\n" + VECTORS)
    server.save("one/one.c", VECTORS.replace("2 *", "3 *"))
    wait_for_files(server, 2)
    server.save("one/one.c", NONE)
    server.wait("loops.changed", mark)
    assert len(server.seen("loops.changed", mark)) == 1


def test_undo_asks_no_compiler_again(server):
    save(server, "one/one.c", NONE)
    (loop,) = save(server, "one/one.c", VECTORS)
    assert loop["vectorized"]
    assert len(files(server)) == 2


def test_it_is_known_with_flags_of_the_authors(root, serve):
    root.write("one/one.c", VECTORS)
    root.write("one/deployment.yaml", "cflags: [-DONE]\n")
    server = serve()
    (loop,) = save(server, "one/one.c", NONE)
    assert not loop["vectorized"]


def test_of_a_header_the_loops_are_known_too(root, serve):
    root.write("two/scale.h", SCALE)
    root.write("two/two.c", deployment(BODY, '#include "scale.h"'))
    server = serve()
    (loop,) = save(server, "two/scale.h", SCALE.replace("y[i] = 2 * x[i];", "*(volatile float *)&y[i] = 2 * x[i];"))
    assert (loop["file"], loop["line"], loop["vectorized"]) == (str(root.path / "two/scale.h"), 3, False)


def test_what_a_newer_save_overtakes_is_compared_with_what_was_told_last(server):
    mark = server.mark()
    for k in range(3, 8):
        server.save("one/one.c", VECTORS.replace("2 *", f"{k} *"))
    server.save("one/one.c", NONE)
    event = server.wait("loops.changed", mark)
    assert event["generation"] == 7 and len(event["loops"]) == 1


def test_the_compiler_is_asked_when_the_verdict_is_there(server):
    assert server.infer("one").status == 200
    mark = server.mark()
    server.save("one/one.c", NONE)
    server.wait("loops.changed", mark)
    assert server.seen("verdict", mark), "measuring comes first"


@pytest.mark.skipif(not shutil.which("clang"), reason="there is no clang")
def test_clang_tells_in_its_own_words(root, serve):
    root.write("one/one.c", VECTORS)
    server = serve(env={"CC": "clang"})
    wait_for_files(server, 1)
    (loop,) = save(server, "one/one.c", NONE)
    assert not loop["vectorized"] and abs(loop["line"] - LINE) <= 1 and loop["reason"], loop
    (loop,) = save(server, "one/one.c", VECTORS)
    assert loop["vectorized"] and loop["lanes"] >= 4, loop
