# SPDX-License-Identifier: MIT
"""What `make install` puts on a machine works there, and `make uninstall` takes it away."""

import os
import pathlib
import shutil
import subprocess

import devserve as lib
from devserve import constant


def make(*words):
    """-o all: what is being tested is built already, and not to be built with other flags."""
    subprocess.run(["make", "-o", "all", f"BUILD={lib.BUILD}", *words], cwd=lib.TREE, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)


def test_the_installed_server_serves(root, serve, tmp_path, monkeypatch):
    make("install", f"DESTDIR={tmp_path}/stage", "PREFIX=/opt/devserve")
    stage = tmp_path / "stage/opt/devserve"
    files = {str(f.relative_to(stage)) for f in stage.rglob("*") if f.is_file()}
    assert {"bin/devserve", "libexec/devserve/devserve-watch", "libexec/devserve/devserve-worker",
            "include/devserve/deployment.h", "share/doc/devserve/LICENSE"} <= files

    moved = tmp_path / "elsewhere"  # it finds its parts wherever it stands
    shutil.copytree(stage, moved)
    monkeypatch.delenv("DEVSERVE_INCLUDE", raising=False)
    monkeypatch.setattr(lib, "BUILD", pathlib.Path(moved / "bin"))
    root.write("one/one.c", constant(10))
    server = serve()
    assert server.infer("one").value == 10
    assert server.save("one/one.c", constant(11))["outcome"] == "swapped"
    for pid in server.worker_pids("one"):
        assert os.readlink(f"/proc/{pid}/exe") == str(moved / "libexec/devserve/devserve-worker")

    make("uninstall", f"DESTDIR={tmp_path}/stage", "PREFIX=/opt/devserve")
    assert [f for f in stage.rglob("*") if f.is_file()] == []
