# SPDX-License-Identifier: MIT
"""What `make install` puts on a machine works there, and `make uninstall` takes it away."""

import json
import os
import re
import shutil
import subprocess

import pytest

import devserve as lib
from devserve import constant


PLUGIN = constant(7)


def make(*words):
    """-o all: what is being tested is built already, and not to be built with other flags."""
    subprocess.run(["make", "-o", "all", f"BUILD={lib.BUILD}", *words], cwd=lib.TREE, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)


def files_below(directory):
    return {str(f.relative_to(directory)) for f in directory.rglob("*") if f.is_file()}


@pytest.fixture
def stage(tmp_path):
    """What a packager gets: installed to where it won't stay."""
    make("install", f"DESTDIR={tmp_path}/stage", "PREFIX=/opt/devserve")
    return tmp_path / "stage/opt/devserve"


@pytest.fixture
def moved(stage, tmp_path, monkeypatch):
    """It finds its parts wherever it stands, so that is where."""
    shutil.copytree(stage, tmp_path / "elsewhere")
    monkeypatch.delenv("DEVSERVE_INCLUDE", raising=False)
    monkeypatch.setattr(lib, "BUILD", tmp_path / "elsewhere/bin")
    return tmp_path / "elsewhere"


def test_all_of_it_is_below_the_prefix(stage, tmp_path):
    assert [f for f in files_below(tmp_path / "stage") if not f.startswith("opt/devserve/")] == []
    headers = {str(h.relative_to(lib.TREE)) for h in (lib.TREE / "include").rglob("*.h")}
    assert files_below(stage) >= headers | {
        "bin/devserve", "libexec/devserve/devserve-watch", "libexec/devserve/devserve-worker",
        "libexec/devserve/devserve-debug", "share/pkgconfig/devserve.pc",
        "share/man/man1/devserve.1", "share/devserve/deployment.schema.json",
        "share/bash-completion/completions/devserve", "share/zsh/site-functions/_devserve",
        "share/fish/vendor_completions.d/devserve.fish",
        "share/doc/devserve/LICENSE", "share/doc/devserve/LICENSE.GPL-2"}
    for f in tmp_path.rglob("*"):
        assert f.stat().st_mode & 0o777 == (0o755 if f.is_dir() or os.access(f, os.X_OK) else 0o644), f


def test_every_link_of_an_installed_page_leads_somewhere(stage):
    pages = list((stage / "share/doc").rglob("*.md"))
    links = [(page, target.partition("#")[0]) for page in pages
             for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target]
    assert len(pages) > 10 and len(links) > 50
    assert not [(str(page.relative_to(stage)), path) for page, path in links if not (page.parent / path).exists()]


def test_the_installed_server_serves(root, serve, moved):
    root.write("one/one.c", constant(10))
    server = serve()
    assert server.infer("one").value == 10
    assert server.save("one/one.c", constant(11))["outcome"] == "swapped"
    for pid in server.worker_pids("one"):
        assert os.readlink(f"/proc/{pid}/exe") == str(moved / "libexec/devserve/devserve-worker")


@pytest.mark.parametrize("compiler, suffix, standard", [("cc", "c", "c11"), ("c++", "cc", "c++17")])
def test_a_foreign_plugin_needs_pkg_config_only(stage, tmp_path, compiler, suffix, standard):
    """In a build system of its own, far from any devserve but the installed headers."""
    asked = {"PKG_CONFIG_PATH": f"{stage}/share/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": f"{tmp_path}/stage"}
    environment = {"PATH": os.environ["PATH"]}

    def pkg_config(*words):
        return subprocess.run(["pkg-config", *words, "devserve"], env=environment | asked, check=True,
                              capture_output=True, text=True).stdout.split()

    source, image = tmp_path / f"foreign.{suffix}", tmp_path / "foreign.so"
    source.write_text(PLUGIN)
    command = [compiler, f"-std={standard}", "-shared", "-fPIC", "-o", image, source]
    subprocess.run(command + pkg_config("--cflags"), env=environment, cwd="/", check=True)
    assert pkg_config("--libs") == []
    assert pkg_config("--variable=abi_major") == ["1"]
    described = subprocess.run([lib.BUILD / "devserve", "inspect", "--json", image], check=True,
                               capture_output=True, text=True).stdout
    assert json.loads(described)["outputs"][0]["name"] == "Y"
    without = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
    assert without.returncode != 0 and "devserve/deployment.h" in without.stderr


def test_what_was_installed_can_be_taken_away(stage, tmp_path):
    (stage / "share/doc/other").mkdir()
    (stage / "share/doc/other/README").write_text("not ours")
    make("uninstall", f"DESTDIR={tmp_path}/stage", "PREFIX=/opt/devserve")
    assert files_below(stage) == {"share/doc/other/README"}
    assert [d for d in stage.rglob("*devserve*")] == [], "nor is a directory of ours left"
