# SPDX-License-Identifier: MIT
"""deployment.yaml: read, told where it is wrong, and applied while it serves."""

import json
import shutil

import pytest

from devserve import Root, constant, devserve

WITH_FLAG = constant("VALUE", "#ifndef VALUE\n#define VALUE 1\n#endif\n")

WITH_ZLIB = constant("(int32_t)crc32(0, (const unsigned char *)\"abc\", 3)", "#include <zlib.h>\n")


def broken(server, after):
    failed = server.wait("build.failed", after)
    return failed["diagnostics"][0]


def test_an_unknown_key_is_told_with_its_line_and_what_was_meant(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    mark = server.mark()
    done = server.save("one/deployment.yaml", "# ours\nnum_replica: 2\n", "one")
    assert done["outcome"] == "build-failed"
    assert "deployment.yaml:2" in done["reason"] and "'num_replicas'" in done["reason"], done
    diagnostic = broken(server, mark)
    assert (diagnostic["file"], diagnostic["line"]) == (str(root.path / "one/deployment.yaml"), 2)
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (10, 1, "build-failed")


def test_mending_it_swaps(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/deployment.yaml", "num_replicas: many\n", "one")
    done = server.save("one/deployment.yaml", "request_timeout_s: 5\n", "one")
    assert (done["outcome"], done["generation"]) == ("swapped", 2)
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (10, 2, None)


def test_flags_take_effect_when_it_alone_is_saved(root, serve):
    root.write("one/one.c", WITH_FLAG)
    server = serve()
    assert server.infer("one").value == 1
    done = server.save("one/deployment.yaml", "cflags: [-DVALUE=7]\n", "one")
    assert (done["outcome"], done["generation"]) == ("swapped", 2)
    answer = server.infer("one")
    assert (answer.value, answer.generation) == (7, 2)


def test_clangd_is_told_the_flags(root, serve):
    root.write("one/one.c", WITH_FLAG)
    root.write("one/deployment.yaml", "cflags: [-DVALUE=7]\n")
    server = serve()
    while not (root.path / "compile_commands.json").exists():
        server.status()  # it comes when the server has nothing else to do
    commands = json.loads(root.read("compile_commands.json"))
    assert "-DVALUE=7" in commands[0]["arguments"]


def test_a_library_is_linked(root, serve):
    root.write("one/one.c", WITH_ZLIB)
    root.write("one/deployment.yaml", "ldlibs: [-lz]\n")
    assert serve().infer("one").value == 0x352441C2


def test_only_the_named_sources_are_built(root, serve):
    root.write("one/one.c", constant(10))
    root.write("one/tests/other.c", "#error not for you\n")
    root.write("one/deployment.yaml", "sources: ['*.c']\n")
    server = serve()
    assert server.infer("one").value == 10
    done = server.save("one/deployment.yaml", "num_replicas: 1\nsources:\n  - '*.cc'\n", "one")
    assert done["outcome"] == "build-failed" and "'*.cc'" in done["reason"], done
    assert "deployment.yaml:3" in done["reason"]


def test_it_comes_and_goes(root, serve):
    root.write("one/one.c", WITH_FLAG)
    server = serve()
    server.save("one/deployment.yaml", "cflags: [-DVALUE=7]\n", "one")
    mark = server.mark()
    (root.path / "one/deployment.yaml").unlink()
    done = server.wait("save.done", mark, deployment="one")
    assert (done["outcome"], done["generation"]) == ("swapped", 3)
    assert server.infer("one").value == 1


def test_a_name_overrides_the_directorys(root, serve):
    root.write("one/one.c", constant(10))
    root.write("one/deployment.yaml", "name: first\n")
    server = serve()
    assert server.infer("first").value == 10
    assert server.infer("one").status == 404
    mark = server.mark()
    done = server.save("one/deployment.yaml", "name: second\n", "second")
    assert done["outcome"] == "swapped"
    assert server.wait("deployment.removed", mark)["deployment"] == "first"
    assert server.infer("second").value == 10
    assert server.infer("first").status == 404


def names_both(root, text):
    return f"{root.path}/one and {root.path}/two both are deployment \"one\"" in text


def test_a_name_that_is_taken_is_a_mistake_and_changes_nothing_that_is_served(root, serve):
    root.write("one/one.c", constant(10))
    root.write("two/two.c", constant(20))
    server = serve()
    mark = server.mark()
    done = server.save("two/deployment.yaml", "# ours\nname: one\n", "two")
    assert done["outcome"] == "build-failed" and names_both(root, done["reason"]), done
    diagnostic = broken(server, mark)
    assert (diagnostic["file"], diagnostic["line"]) == (str(root.path / "two/deployment.yaml"), 2)
    assert server.infer("one").value == 10
    answer = server.infer("two")
    assert (answer.value, answer.stale) == (20, "build-failed")
    assert not server.seen("deployment.removed", mark)
    mark = server.mark()
    root.rename_over("two/deployment.yaml", "name: deux\n")
    server.wait("save.done", mark, deployment="deux", outcome="swapped")
    assert server.infer("deux").value == 20
    assert server.infer("two").status == 404


def test_a_mistake_after_a_name_that_is_taken_is_told_and_so_is_its_end(root, serve):
    root.write("one/one.c", constant(10))
    root.write("two/two.c", constant(20))
    server = serve()
    server.save("two/deployment.yaml", "name: one\n", "two")
    done = server.save("two/deployment.yaml", "idempotent: maybe\n", "two")
    assert done["outcome"] == "build-failed" and "idempotent" in done["reason"], done
    done = server.save("two/deployment.yaml", "", "two")
    assert done["outcome"] == "swapped"
    done = server.save("two/two.c", "no C", "two")
    assert done["outcome"] == "build-failed" and "two.c:1" in done["reason"], done


def test_a_name_that_is_taken_at_the_start_leaves_that_of_the_directory(root, serve):
    root.write("one/one.c", constant(10))
    root.write("two/two.c", constant(20))
    root.write("two/deployment.yaml", "name: one\n")
    server = serve()
    assert server.infer("one").value == 10
    answer = server.infer("two")
    assert answer.status == 503 and names_both(root, answer.json["error"]), answer


def test_a_name_that_becomes_free_is_given_to_who_wants_it(root, serve):
    root.write("one/one.c", constant(10))
    root.write("two/two.c", constant(20))
    server = serve()
    server.save("two/deployment.yaml", "name: one\n", "two")
    mark = server.mark()
    shutil.rmtree(root.path / "one")
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert server.infer("one").value == 20
    assert server.infer("two").status == 404


def test_a_broken_one_does_not_rename(root, serve):
    root.write("one/one.c", constant(10))
    root.write("one/deployment.yaml", "name: first\n")
    server = serve()
    done = server.save("one/deployment.yaml", "name: 'no good'\n", "first")
    assert done["outcome"] == "build-failed"
    answer = server.infer("first")
    assert (answer.value, answer.stale) == (10, "build-failed")


@pytest.mark.parametrize("first, then, name", [
    ("name: first\n", "weights: ['*.bin']\n", "first"),
    ("", "name: other\nweights: ['*.bin']\n", "one"),
    ("", "name: other\nsources: [no.c]\n", "one"),
])
def test_a_mistake_beside_another_name_leaves_the_name(root, serve, first, then, name):
    root.write("one/one.c", constant(10))
    root.write("one/deployment.yaml", first)
    server = serve()
    mark = server.mark()
    done = server.save("one/deployment.yaml", then, name)
    assert done["outcome"] == "build-failed", done
    answer = server.infer(name)
    assert (answer.value, answer.stale) == (10, "build-failed")
    assert not server.seen("deployment.removed", mark)
    server.save("one/deployment.yaml", "name: mended\n", "mended")
    assert server.infer("mended").value == 10 and server.infer(name).status == 404


def test_one_that_is_broken_at_the_start_is_mended(root, serve):
    root.write("one/one.c", constant(10))
    root.write("one/deployment.yaml", "cflags: -O2\n")
    server = serve()
    answer = server.infer("one")
    assert answer.status == 503 and "deployment.yaml:1" in answer.json["error"], answer
    done = server.save("one/deployment.yaml", "cflags: [-O2]\n", "one")
    assert done["outcome"] == "swapped"
    assert server.infer("one").generation == 1


def test_writing_the_same_again_is_nothing(root, serve):
    root.write("one/one.c", constant(10))
    root.write("one/deployment.yaml", "num_replicas: 1\n")
    server = serve()
    done = server.save("one/deployment.yaml", "num_replicas: 1\n", "one", how=Root.write)
    assert (done["outcome"], done["generation"]) == ("unchanged", 1)
    assert server.infer("one").generation == 1


def test_a_restart_keeps_the_number(root, serve):
    root.write("one/one.c", WITH_FLAG)
    server = serve()
    server.save("one/deployment.yaml", "cflags: [-DVALUE=7]\n", "one")
    server.stop()
    answer = serve().infer("one")
    assert (answer.value, answer.generation) == (7, 2)


def test_settings_reach_what_serves(root, serve, gate):
    root.write("one/one.c", constant("(pass_gate(), 1)", gate.source))
    server = serve()
    server.save("one/deployment.yaml", "num_replicas: 2\nrequest_timeout_s: 0.3\n", "one")
    assert len(server.worker_pids("one")) == 2
    gate.shut()
    assert server.infer("one").status == 504
    gate.open()
    server.save("one/deployment.yaml", "num_replicas: 1\n", "one")
    assert server.infer("one").value == 1


def test_a_config_with_the_wrong_suffix_is_told_once_and_in_the_wrong_place_too(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yml", "num_replicas: 2\n")
    root.write("deployment.yaml", "num_replicas: 2\n")
    server = serve()
    for _ in range(2):
        root.rename_over("one/deployment.yml", "num_replicas: 3\n")
        assert server.save("one/one.c", constant(1))["outcome"] == "unchanged"
    told = [e["reason"] for e in server.seen("notice")]
    assert sorted(told) == [
        f"{root.path}/deployment.yaml is not read: a deployment.yaml lies in the directory of its deployment",
        f"{root.path}/one/deployment.yml is not read: rename it to deployment.yaml"], told


def test_ready_says_how_many_of_how_many_serve(root, serve):
    root.write("good/one.c", constant(1))
    root.write("bad/one.c", "no C")
    ready = serve().wait("server.ready")
    assert (ready["deployments"], ready["serving"]) == (2, 1)


def test_a_save_of_what_another_shuts_out_is_told_and_waited_for_in_vain(root, serve):
    root.write("dup/dup.c", constant(10))
    server = serve()
    mark = server.mark()
    root.write("dup.c", constant(20))
    server.wait("notice", mark, deployment="dup")
    mark = server.mark()
    root.rename_over("dup.c", constant(30))
    done = devserve("wait", "dup", "--root", root.path)
    assert done.returncode == 1 and f"refused: {root.path}/dup and {root.path}/dup.c both" in done.stderr, done
    server.wait("notice", mark, deployment="dup")
    root.rename_over("dup/dup.c", constant(40))
    assert devserve("wait", "dup", "--root", root.path).returncode == 0
    assert server.infer("dup").value == 40
    mark = server.mark()
    shutil.rmtree(root.path / "dup")
    server.wait("save.done", mark, deployment="dup", outcome="swapped")
    assert server.infer("dup").value == 30
    assert devserve("wait", "dup", "--root", root.path).returncode == 0
