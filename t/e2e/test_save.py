# SPDX-License-Identifier: MIT
"""A save: what is served afterwards, and what is said about it."""

import json
import os
import shutil

import pytest

from devserve import X, Root, constant, deployment


@pytest.fixture
def server(root, serve):
    root.write("one/one.c", constant(10))
    return serve()


def serves(server, name, value, generation):
    answer = server.infer(name)
    assert (answer.value, answer.generation, answer.stale) == (value, generation, None)


@pytest.mark.parametrize("how", [Root.write, Root.rename_over, Root.save_like_vim])
def test_the_next_answer_is_new(server, how):
    serves(server, "one", 10, 1)
    mark = server.mark()
    done = server.save("one/one.c", constant(11), how=how)
    assert (done["outcome"], done["generation"], done["from"]) == ("swapped", 2, 1)
    swap = server.wait("swap.done", mark, deployment="one")
    assert (swap["generation"], swap["from"]) == (2, 1)
    assert {"settle", "trial", "swap"} <= {stage["name"] for stage in done["stages"]}
    serves(server, "one", 11, 2)


def test_the_stages_come_to_what_a_save_took(serve, root, compiler):
    """Also those of one that waited for its turn at the only compiler."""
    for name in "abcd":
        root.write(f"{name}.c", constant(1))
    server = serve("--jobs", "1", env=compiler.env)
    mark = server.mark()
    compiler.hold()
    for name in "abcd":
        root.write(f"{name}.c", constant(2))
    for name in "abcd":
        server.wait("build.started", mark, deployment=name)
    compiler.go()
    ends = [server.wait("save.done", mark, deployment=name, outcome="swapped") for name in "abcd"]
    assert any("wait" in {s["name"] for s in done["stages"]} for done in ends), ends
    for done in ends:
        told = sum(s["ms"] for s in done["stages"])
        assert done["took_ms"] - 3 < told < done["took_ms"] + 1, done


def test_a_broken_save_changes_nothing_but_says_so(server):
    mark = server.mark()
    done = server.save("one/one.c", constant("1 +"))
    assert done["outcome"] == "build-failed"
    failed = server.wait("build.failed", mark, deployment="one")
    assert failed["diagnostics"][0]["file"].endswith("one/one.c")
    assert failed["diagnostics"][0]["line"] == constant("1 +").split("1 +")[0].count("\n") + 1
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (10, 1, "build-failed")

    assert server.save("one/one.c", constant(12))["outcome"] == "swapped"
    serves(server, "one", 12, 2)  # the failure used no number


def test_undo_of_a_broken_save_is_good_again(server):
    server.save("one/one.c", constant("1 +"))
    assert server.save("one/one.c", constant(10))["outcome"] in ("unchanged", "swapped")
    answer = server.infer("one")
    assert (answer.value, answer.stale) == (10, None)


def test_undo_gets_a_new_number_and_no_compiler(server):
    server.save("one/one.c", constant(11))
    done = server.save("one/one.c", constant(10))
    assert (done["outcome"], done["generation"], done.get("cached")) == ("swapped", 3, True)
    serves(server, "one", 10, 3)


def test_touch_is_nothing(server):
    mark = server.mark()
    os.utime(server.root.path / "one/one.c")
    server.root.write("one/one.c", server.root.read("one/one.c"))
    server.root.write("two/two.c", constant(20))
    server.wait("save.done", mark, deployment="two", outcome="swapped")
    server.root.rename_over("one/one.c", constant(11))  # what came before has ended when this has
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert {e["outcome"] for e in server.seen("save.done", mark, deployment="one")} <= {"unchanged", "swapped"}
    serves(server, "one", 11, 2)


def test_a_comment_is_a_new_generation_of_identical_code(server):
    done = server.save("one/one.c", "/* of no consequence */\n" + constant(10))
    assert (done["outcome"], done["generation"], done.get("identical")) == ("swapped", 2, True)
    serves(server, "one", 10, 2)


def test_code_is_identical_to_what_served_before_it_only(server):
    assert "identical" not in server.wait("save.done", deployment="one"), "nothing served before"
    assert "identical" not in server.save("one/one.c", constant(11))
    assert server.save("one/one.c", "\n\n" + constant(11)).get("identical")
    done = server.save("one/one.c", constant(10))
    assert done["cached"] and "identical" not in done, "it is that of an older generation"


def test_an_image_that_cannot_be_tried_is_not_served(server):
    crash = constant(13, "#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }")
    mark = server.mark()
    done = server.save("one/one.c", crash)
    assert done["outcome"] == "trial-failed"
    assert server.wait("trial.failed", mark, deployment="one")["reason"]
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (10, 1, "trial-failed")


def test_a_new_directory_is_served(server):
    mark = server.mark()
    server.root.write("two/two.c", constant(20))
    server.wait("deployment.added", mark, deployment="two")
    server.wait("save.done", mark, deployment="two", outcome="swapped")
    serves(server, "two", 20, 1)
    serves(server, "one", 10, 1)


def test_a_single_file_is_served(server):
    mark = server.mark()
    server.root.rename_over("three.c", constant(30))
    server.wait("save.done", mark, deployment="three", outcome="swapped")
    serves(server, "three", 30, 1)


def test_a_removed_directory_is_404(server):
    mark = server.mark()
    shutil.rmtree(server.root.path / "one")
    server.wait("deployment.removed", mark, deployment="one")
    assert server.infer("one").status == 404


def test_a_renamed_directory_changes_its_name(server):
    mark = server.mark()
    (server.root.path / "one").rename(server.root.path / "uno")
    server.wait("deployment.removed", mark, deployment="one")
    server.wait("save.done", mark, deployment="uno", outcome="swapped")
    assert server.infer("one").status == 404
    assert server.infer("uno").value == 10


def test_a_shared_header_rebuilds_those_that_include_it(root, serve):
    root.write("shared/value.h", "#define VALUE 1\n")
    for name in ("reads", "reads_too"):
        root.write(f"{name}/{name}.c", constant("VALUE", '#include "shared/value.h"'))
    root.write("apart/apart.c", constant(5))
    server = serve()
    mark = server.mark()
    root.rename_over("shared/value.h", "#define VALUE 2\n")
    for name in ("reads", "reads_too"):
        server.wait("save.done", mark, deployment=name, outcome="swapped")
        serves(server, name, 2, 2)
    serves(server, "apart", 5, 1)
    assert not server.seen("build.started", mark, deployment="apart")
    assert not server.seen("deployment.added", deployment="shared")


def test_the_newest_save_wins(root, serve, compiler):
    root.write("one/one.c", constant(10))
    server = serve(env=compiler.env)
    mark = server.mark()
    compiler.hold()
    root.rename_over("one/one.c", constant(11))
    server.wait("build.started", mark, deployment="one")
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (10, 1, "building")
    root.rename_over("one/one.c", constant(12))
    server.wait("save.done", mark, deployment="one", outcome="superseded")
    compiler.go()
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    serves(server, "one", 12, 2)
    assert [e["outcome"] for e in server.seen("save.done", mark, deployment="one")] == ["superseded", "swapped"]


def test_saves_in_quick_succession_end_in_the_last(server):
    mark = server.mark()
    for value in range(100, 130):
        server.root.write("one/one.c", constant(value))
    server.root.write("last/last.c", constant(1))
    server.wait("save.done", mark, deployment="last", outcome="swapped")
    while server.infer("one").value != 129:
        server.wait("save.done", mark, deployment="one")
        mark = server.mark()
    assert server.infer("one").stale is None


def held(gate, value):
    return deployment(f"\tpass_gate();\n\t*y = {value};", gate.source)


def test_a_save_behind_a_call_that_hangs_is_told_what_it_waits_for(root, serve, gate):
    root.write("one.c", held(gate.shut(), 1))
    server = serve()
    pid = server.worker_pids("one")[0]
    hung = server.new_client()
    hung.connection.request("POST", "/v2/models/one/infer", json.dumps(X))
    while not server.status()["deployments"][0]["in_flight"]:
        pass
    mark = server.mark()
    root.rename_over("one.c", held(gate, 2))
    notice = server.wait("notice", mark, deployment="one")["reason"]
    assert notice.startswith("generation 2 is ready and waits: infer() has been running for 2 s "
                             f"in PID {pid}"), notice
    gate.open()
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert json.load(hung.connection.getresponse())["outputs"][0]["data"] == [1]
    assert len(server.seen("notice", mark, deployment="one")) == 1


@pytest.mark.parametrize("how", [Root.write, Root.rename_over, Root.save_like_vim])
def test_a_source_that_is_a_link_is_saved_where_it_leads(root, serve, tmp_path, how):
    real = Root(tmp_path / "elsewhere")
    real.write("one.c", constant(1))
    (root.path / "one").mkdir(parents=True)
    (root.path / "one/one.c").symlink_to(real.path / "one.c")
    server = serve()
    serves(server, "one", 1, 1)
    mark = server.mark()
    how(real, "one.c", constant(2))
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    serves(server, "one", 2, 2)
    real.write("other/other.c", constant(3))
    mark = server.mark()
    root.write("two.c", constant(2))
    server.wait("save.done", mark, deployment="two")
    assert not server.seen("save.done", mark, deployment="one")
    mark = server.mark()
    how(real, "one.c", constant(4))
    server.wait("save.done", mark, deployment="one", outcome="swapped")


def test_a_link_that_is_made_while_it_serves_is_followed_to_its_file(root, serve, tmp_path):
    real = Root(tmp_path / "elsewhere")
    real.write("kernel", constant(1))
    server = serve()
    (root.path / "one.c").symlink_to(real.path / "kernel")
    server.wait("save.done", deployment="one")
    mark = server.mark()
    real.write("kernel", constant(2))
    server.wait("save.done", mark, deployment="one", outcome="swapped")
