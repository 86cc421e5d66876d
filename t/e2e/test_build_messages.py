# SPDX-License-Identifier: MIT
"""What a build that fails says: which file, or which setting, and what to do."""

import shutil

import pytest

from devserve import constant


def fails(serve, name="one"):
    """(reason, text, diagnostics) of its first build."""
    failed = serve().wait("build.failed", deployment=name)
    return failed["reason"], failed["text"], failed["diagnostics"]


@pytest.mark.parametrize("linker", ["", "-fuse-ld=gold", "-fuse-ld=lld"])
@pytest.mark.parametrize("library", ["-lnosuchlibrary", "/nowhere/libnosuch.a", "-l:libnosuch.a"])
def test_a_library_that_is_not_there_is_named_with_its_line(root, serve, library, linker):
    if linker and not shutil.which(linker.replace("-fuse-", "").replace("=", ".")):
        pytest.skip("there is no such linker")
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", f"{f'cflags: [{linker}]' if linker else ''}\nldlibs:\n  - -lm\n  - {library}\n")
    reason, text, diagnostics = fails(serve)
    assert reason.startswith(f"deployment.yaml:4: ldlibs: '{library}': ") and "more)" not in reason, reason
    assert f"deployment.yaml:4: note: ldlibs: '{library}'\n" in text, text
    assert {d["severity"] for d in diagnostics[1:]} <= {"note"}, diagnostics


def test_two_declarations_in_a_directory_are_named_by_their_sources(root, serve):
    root.write("one/a.c", constant(1))
    root.write("one/b.c", constant(2))
    reason, text, diagnostics = fails(serve)
    assert "multiple definition of 'devserve_entry'" in reason and diagnostics[0]["file"].endswith((".c")), reason
    assert "one/a.c" in text and "one/b.c" in text and ".o" not in text, text
    assert "only one may end with DEVSERVE_DEPLOYMENT(...)" in text, text


@pytest.mark.parametrize("flag", ["-E", "-M"])
def test_a_flag_that_ends_the_compiler_early_is_told(root, serve, flag):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", f"cflags: [{flag}]\n")
    reason, _, _ = fails(serve)
    assert "cflags" in reason and "No such file" not in reason, reason


def test_a_flag_that_the_compiler_refuses_is_shown_as_it_was_read(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", 'cflags: ["-O2 -g"]\n')
    _, text, _ = fails(serve)
    assert "cflags of deployment.yaml: '-O2 -g'" in text, text


def test_a_place_has_no_column_where_none_is_known(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", "a: b: c\n")
    reason, _, diagnostics = fails(serve)
    assert reason.startswith("deployment.yaml:1: "), reason
    assert not diagnostics[0].get("column"), diagnostics


def test_what_is_no_text_is_not_compiled(root, serve):
    (root.path / "one.c").write_bytes(b"\x7fELF\0\0\0" * 1000)
    reason, text, _ = fails(serve)
    assert reason == "one.c: this is no source but a binary file" and text.count("\n") == 1, (reason, text)


def test_weights_that_are_not_there_are_told_with_their_line(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", "idempotent: true\nweights: [none.safetensors]\n")
    server = serve()
    failed = server.wait("build.failed", deployment="one")
    assert failed["reason"] == "deployment.yaml:2: weights: there is no file none.safetensors", failed
    (root.path / "one/none.safetensors").write_bytes((8).to_bytes(8, "little") + b"{}      ")
    server.wait("save.done", deployment="one", outcome="swapped")


@pytest.mark.parametrize("kind", ["address", "thread", "undefined,leak"])
def test_a_sanitizer_that_a_plugin_cannot_have_is_told(root, serve, kind):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", f"cflags: ['-fsanitize={kind}']\n")
    assert fails(serve)[0].startswith(f"deployment.yaml:1: cflags: -fsanitize={kind} needs a program of its own")


def test_the_sanitizer_of_undefined_behaviour_can_be_used(root, serve):
    root.write("one/one.c", constant("1 << (31 + x)"))
    root.write("one/deployment.yaml", "cflags: [-fsanitize=undefined]\n")
    server = serve()
    server.infer("one")
    assert "runtime error: left shift" in server.wait("log", deployment="one")["text"]


def test_a_compiler_that_was_killed_is_no_flags_fault(root, serve, tmp_path):
    cc = tmp_path / "mygcc"
    cc.write_text('#!/bin/sh\ncase "$*" in *-###*) exec gcc "$@";; esac\nkill -KILL $$\n')
    cc.chmod(0o755)
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", 'cflags: [-DX, "-DWHO=somebody"]\n')
    failed = serve(ready=False, env={"CC": str(cc)}).wait("build.failed", deployment="one")
    assert "was killed by somebody" in failed["reason"] and "cflags" not in failed["reason"] + failed["text"], failed
