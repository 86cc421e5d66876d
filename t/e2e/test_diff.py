# SPDX-License-Identifier: MIT
"""Two generations side by side: source, answers, code."""

import contextlib
import json
import sqlite3

import pytest

from devserve import constant, deployment, devserve, x
from test_weights import SCALE, put, scale
from test_weights import save as save_weights


def diff(root, *args):
    return devserve("diff", "--root", str(root.path), *args)


def data(root, *args):
    said = diff(root, "--json", *args)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_it_shows_the_source_that_changed_and_no_other(root, serve):
    root.write("shared.h", "#define STEP 1\n")
    root.write("one/one.c", '#include "shared.h"\n' + deployment("\t*y = x + STEP;"))
    server = serve()
    server.save("shared.h", "#define STEP 2\n", deployment="one")
    server.stop()
    lines = diff(root, "one").stdout.splitlines()
    assert lines[0] == "one  gen 1→2"
    assert "--- shared.h (gen 1)" in lines and "+++ shared.h (gen 2)" in lines
    assert "-#define STEP 1" in lines and "+#define STEP 2" in lines
    assert not any("one.c" in line for line in lines), lines
    assert data(root, "one")["source"].startswith("--- shared.h (gen 1)\n+++ shared.h (gen 2)\n@@ -1 +1 @@\n")


def test_files_that_came_and_went_and_flags(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/two.c", "int two(void);\nint two(void) { return 2; }\n")
    server = serve()
    mark = server.mark()
    (root.path / "one/two.c").unlink()
    server.wait("save.done", mark, outcome="swapped")
    server.save("one/deployment.yaml", "cflags: [-O1]\n")
    server.stop()
    gone = diff(root, "one", "1", "2").stdout
    assert "--- one/two.c (gen 1)\n+++ /dev/null\n" in gone and "flags were" not in gone
    flags = diff(root, "one", "2", "3").stdout
    assert "--- /dev/null\n+++ one/deployment.yaml (gen 3)\n" in flags
    assert "flags are" in flags and "-O1" in flags


CODE = """
int helper(int);
__attribute__((noinline)) int helper(int n) { return n * %d; }
"""


def test_it_shows_the_functions_that_changed(root, serve):
    root.write("one/one.c", deployment("\t*y = helper(x);", CODE % 3))
    server = serve()
    server.save("one/one.c", deployment("\t*y = helper(x);", CODE % 1000))
    server.stop()
    both = data(root, "one")
    assert [f["name"] for f in both["functions"]] == ["helper"], both["functions"]
    assert "0x3e8" in both["functions"][0]["after"] and "0x3e8" not in both["functions"][0]["before"]
    said = diff(root, "one", "--code").stdout
    assert "code  1 function changed" in said and "--- helper (gen 1)" in said and "$0x3e8" in said


def test_a_constant_that_is_read_from_memory_is_part_of_the_code(root, serve):
    source = """#include <devserve/deployment.h>
static int infer(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = call->out[0].data;

	for (size_t i = 0; i < devserve_count(&call->in[0]); i++)
		y[i] = 5 * x[i];
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
"""
    root.write("one/one.c", source)
    server = serve()
    server.save("one/one.c", source.replace("5 *", "7 *"))
    server.save("one/one.c", source.replace("5 *", "7 *") + "/* */\n")
    server.stop()
    said = diff(root, "one", "1", "2", "--code").stdout
    assert "code  1 function changed" in said and "; constants (.rodata) differ" in said, said
    assert "{0000a040}" in said and "{0000e040}" in said, said
    assert data(root, "one", "1", "2")["constants_differ"] is True
    assert "0 functions changed" in diff(root, "one", "2", "3").stdout and ".rodata" not in diff(root, "one", "2", "3").stdout


NEIGHBOURS = """
__asm__(".section .rodata\\n.balign 64\\nnear_by: .float 3, %d\\n.zero 56\\nlast: .quad 7\\n.text\\n"
	".globl broadcast\\n.type broadcast, @function\\nbroadcast: vmulps near_by(%%rip){1to8}, %%ymm0, %%ymm0\\nret\\n"
	".globl half\\n.type half, @function\\nhalf: vmovq last(%%rip), %%xmm0\\nret\\n"
	".globl other\\n.type other, @function\\nother: vmovss 4+near_by(%%rip), %%xmm0\\nret\\n");
"""


def test_a_function_that_does_not_read_the_constant_has_not_changed(root, serve):
    root.write("one/one.c", deployment("\t*y = x;", NEIGHBOURS % 4))
    server = serve()
    server.save("one/one.c", deployment("\t*y = x;", NEIGHBOURS % 5))
    server.stop()
    both = data(root, "one")
    assert both["constants_differ"] is True and [f["name"] for f in both["functions"]] == ["other"], both["functions"]
    assert "{0000a040}" in both["functions"][0]["after"], both["functions"]


def test_what_only_moved_has_not_changed(root, serve):
    root.write("one/one.c", deployment("\t*y = helper(x);", CODE % 3))
    server = serve()
    server.save("one/one.c", deployment("\t*y = helper(x);", "int more(int);\nint more(int n) { return n / 7; }\n" + CODE % 3))
    server.stop()
    assert [(f["name"], f["before"]) for f in data(root, "one")["functions"]] == [("more", None)]


def test_answers_are_compared_with_those_of_the_other(root, serve):
    root.write("one/one.c", deployment("\t*y = x * 2;"))
    server = serve()
    for n in (1, 2, 3):
        server.infer("one", x(n))
    server.save("one/one.c", deployment("\t*y = x > 2 ? x * 2 + 1 : x * 2;"))
    assert server.infer("one", x(1)).value == 2
    answers = data(root, "one")["answers"]
    assert sorted(a["outcome"] for a in answers)[:1] == ["differs"] and {a["outcome"] for a in answers} == {"differs", "same"}
    wrong = next(a for a in answers if a["outcome"] == "differs")
    assert "expected 6, got 7" in wrong["reason"] and wrong["max_abs"] == 1
    back = data(root, "one", "2", "1")["answers"]
    assert any("expected 7, got 6" in (a["reason"] or "") for a in back)


def test_a_root_may_be_relative(root, serve):
    root.write("one/one.c", deployment("\t*y = x * 2;"))
    server = serve()
    server.infer("one", x(1))
    server.save("one/one.c", deployment("\t*y = x * 3;"))
    for directory, given in [(root.path, "."), (root.path.parent, root.path.name)]:
        said = devserve("diff", "one", "--json", "--root", given, cwd=directory)
        assert [a["outcome"] for a in json.loads(said.stdout)["answers"]] == ["differs"], said


def test_each_answers_with_the_weights_that_it_had(root, serve):
    root.write("one/one.c", SCALE)
    put(root, "one/model.safetensors", scale(10))
    server = serve()
    server.infer("one", x(1))
    save_weights(server, "one/model.safetensors", scale(20))
    answers = data(root, "one")["answers"]
    assert [a["outcome"] for a in answers] == ["differs"] and "expected 10, got 20" in answers[0]["reason"], answers
    server.save("one/one.c", SCALE + "/* another */\n")
    assert [a["outcome"] for a in data(root, "one")["answers"]] == ["same"]
    save_weights(server, "one/model.safetensors", scale(30))
    gone = data(root, "one", "1", "4")
    assert gone["answers"] == [] and "the weights of generation 1 aren't there any more" in gone["unasked"], gone
    assert "answers  can't be compared: the weights of generation 1" in diff(root, "one", "1", "4").stdout
    assert data(root, "one")["unasked"] is None


def test_golden_cases_are_requests_too(root, serve):
    root.write("one/one.c", deployment("\t*y = x * 2;"))
    server = serve()
    server.infer("one", x(5))
    assert devserve("record", "one", "--root", str(root.path), "--out", str(root.path / "one/golden")).returncode == 0
    server.save("one/one.c", deployment("\t*y = x + x;", "int other(void);\nint other(void) { return 1; }\n"))
    server.stop()
    answers = data(root, "one")["answers"]
    assert answers and all(a["request"].startswith("golden/") and a["outcome"] == "same" for a in answers), answers


def test_which_two_it_means(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    server.save("one/one.c", constant(1))
    server.save("one/one.c", constant(2))
    assert diff(root, "one").stdout.startswith("one  gen 2→3\n")
    assert diff(root, "one", "1").stdout.startswith("one  gen 1→3\n")
    assert diff(root, "one", "3", "1").stdout.startswith("one  gen 3→1\n")
    assert diff(root, "1", "2").stdout.startswith("one  gen 1→2\n")  # there is but one deployment
    assert "there is no generation 9 of one" in diff(root, "one", "9").stderr
    assert "are numbers of generations" in diff(root, "one", "first").stderr
    assert "nothing is known of a deployment 'two'" in diff(root, "two").stderr


def test_where_it_is_not_known_what_served_before_it_says_which_two_to_name(root, serve):
    root.write("one/one.c", constant(0))
    root.write("none/none.c", "no C")
    server = serve()
    assert "generation 1 of one is the only one" in diff(root, "one").stderr
    assert "none never served" in diff(root, "none").stderr
    server.stop()
    root.write("one/one.c", constant(1))
    server = serve()
    assert "devserve diff one 1 2" in diff(root, "one").stderr
    assert devserve("rollback", "one", "1", "--root", str(root.path)).returncode == 0
    assert "devserve diff one 1 2" in diff(root, "one").stderr
    assert diff(root, "one", "1", "2").stdout.startswith("one  gen 1→2")


def test_the_only_generation_near_is_not_told_to_be_the_only_one(root, serve):
    root.write("one/one.c", constant(0))
    serve().stop()
    root.write("one/one.c", constant(1))
    serve().stop()
    with contextlib.closing(sqlite3.connect(root.path / ".devserve/history.db")) as db, db:
        db.execute("UPDATE generation SET number = 5000 WHERE number = 2")
    said = diff(root, "one").stderr
    assert "no other is near it, so say which two: devserve diff one N 5000" in said and "the only one" not in said, said


def verdict(root, generation, kind, ratio, low, high):
    with contextlib.closing(sqlite3.connect(root.path / ".devserve/history.db")) as db, db:
        db.execute("UPDATE generation SET verdict = ?, ratio = ?, low = ?, high = ? WHERE number = ?",
                   (kind, ratio, low, high, generation))


@pytest.mark.parametrize("a, b, said", [
    ("1", "2", "1.50× faster [1.40, 1.60]"), ("2", "1", "1.50× slower [1.40, 1.60]"),
    ("2", "3", "1.20× slower [1.10, 1.30]"), ("1", "3", "1.25× faster, by the 2 verdicts in between"),
    ("3", "4", "same"), ("4", "5", "not known: there is no verdict about generation 5"),
    ("1", "5", "not known: there is no verdict about generation 5"),
    ("5", "6", "not known: the verdict about generation 6 is unsure"),
    ("6", "7", "not known: generation 7 could not be measured"),
])
def test_speed_is_what_the_verdicts_on_the_way_say(root, serve, a, b, said):
    root.write("one/one.c", constant(0))
    server = serve()
    for i in range(1, 7):
        server.save("one/one.c", constant(i))
    server.stop()
    verdict(root, 2, "FASTER", 1.5, 1.4, 1.6)
    verdict(root, 3, "SLOWER", 1 / 1.2, 1 / 1.3, 1 / 1.1)
    verdict(root, 4, "SAME", 1.001, 0.99, 1.01)
    verdict(root, 6, "UNSURE", 1.01, 0.9, 1.1)
    verdict(root, 7, "UNSURE", None, None, None)
    lines = diff(root, "one", a, b).stdout.splitlines()
    assert f"speed  {said}" in lines, lines
