# SPDX-License-Identifier: MIT
"""Do what a page of the documentation says, block by block, as a reader would.

t/lib/markdown.py has the marks of the blocks. A page is done in a directory of its own, which
it calls /home/me, with a server on a port of its own, which it calls 8000.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from devserve import BUILD, PATIENCE, TREE, wait_until_older

HOME = "/home/me"
TREE_MARK = "<!-- in: a copy of the tree -->"
ALIASES = [  # what builds first, where that is done
    ("make serve", "devserve ./plugins"),
    ("make install ", f"make -C '{TREE}' -o all BUILD='{BUILD}' install "),
    ("make uninstall ", f"make -C '{TREE}' -o all BUILD='{BUILD}' uninstall "),
]

PARTS = {
    "file": "#include <devserve/deployment.h>\n%s\n",
    "infer": """#include <devserve/deployment.h>
int infer(const struct devserve_call *call);
int infer(const struct devserve_call *call)
{
	(void)call;
%s
	return 0;
}
""",
    "create": """#include <devserve/deployment.h>
#include <devserve/ext/weights.h>
int create(const struct devserve_host *host, void **self);
int create(const struct devserve_host *host, void **self)
{
	(void)host, (void)self;
%s
	return 0;
}
""",
}
COMPILERS = {
    "c": [["gcc", "-std=c11", "-x", "c"], ["clang", "-std=c11", "-x", "c"]],
    "c++": [["g++", "-std=c++20", "-x", "c++"], ["clang++", "-std=c++20", "-x", "c++"]],
}


class Wrong(AssertionError):
    """A block that doesn't do what it shows."""


# What a server prints on one day and not on another, as it looks after re.escape().
MILLISECONDS = (r"\b\d+(?:\\\.\d+)?(?=\\ ms)", r"[\\d.]+")
MORE_STAGES = (r",\\ (?=(?:gcc|g\\\+\\\+|link|trial|swap|load)\\ )", r"(?:,\\ (?:wait|inspect)\\ [\\d.]+)*,\\ ")
TIMES = [MILLISECONDS, (r"\b\d\d:\d\d:\d\d\b", r"\\d\\d:\\d\\d:\\d\\d"),
         (r"(?<=\\ )\d+(?:\\\.\d+)?(?=\\ ms|\\ s\b|\\ times|,|\\\))", r"[\\d.]+"), MORE_STAGES]


def pattern(expected, times=False):
    """The lines that a block shows, as a regular expression; with @times any time of day will do."""
    lines = []
    for line in expected.splitlines():
        if line.strip() == "…":
            lines.append(r"(?:[^\n]*\n)*?")
            continue
        each = r"[^\n]*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n"
        each = re.sub(r"(?:\\ ){2,}", r"[ ]{2,}", each)  # columns are as wide as they must be
        for time_shown, any_time in TIMES if times else [MILLISECONDS]:
            each = re.sub(time_shown, any_time, each)
        lines.append(each)
    return "".join(lines)


class Screen:
    """What a server prints, as it comes."""

    def __init__(self, command, cwd, env):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "bash", "-c", f"exec {command}"], cwd=cwd, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.text, self.seen, self.ended, self.news = "", 0, False, threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.text += line.decode(errors="replace")
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait(self, expression, translate=lambda text: text):
        """The first match in what has come since the last one."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                text = translate(self.text)
                match = re.compile(expression, re.M).search(text, self.seen)
                if match:
                    self.seen = match.end()
                    return match
                left = deadline - time.monotonic()
                if left <= 0 or self.ended:
                    raise Wrong(f"the server didn't print that; it printed\n{text[self.seen:]}")
                self.news.wait(left)

    def stop(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.reader.join(PATIENCE)


class Walkthrough:
    """One page: where it stands, and what became of the blocks so far."""

    def __init__(self, text, blocks, directory):
        self.blocks, self.directory = blocks, pathlib.Path(directory)
        self.done, self.screen, self.port, self.root = [], None, None, None
        self.directory.mkdir(parents=True, exist_ok=True)
        if TREE_MARK in text:
            for name in ("plugins", "examples"):
                shutil.copytree(TREE / name, self.directory / name, ignore=shutil.ignore_patterns(".devserve"))
            (self.directory / "build").symlink_to(BUILD)
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith("DEVSERVE_") or key == "DEVSERVE_INCLUDE"}
        self.env |= {"HOME": str(self.directory), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "COLUMNS": "100",
                     "PATH": os.pathsep.join([str(BUILD), str(pathlib.Path(sys.executable).parent), self.env["PATH"]])}
        if not (BUILD.parent / "include/devserve").exists():
            self.env.setdefault("DEVSERVE_INCLUDE", str(TREE / "include"))

    def run(self, block):
        """Do what comes before it, if it isn't done, then the block itself; Wrong if it isn't so."""
        while len(self.done) <= (index := self.blocks.index(block)):
            try:
                self._do(self.blocks[len(self.done)])
                self.done.append(None)
            except Wrong as e:
                self.done.append(e)
        if self.done[index]:
            raise self.done[index]

    def close(self):
        if self.screen:
            self.screen.stop()
        self.screen = None

    # What the page calls /home/me and 8000, and what they are

    def to_real(self, text):
        text = text.replace(HOME, str(self.directory))
        for shown, done in ALIASES:
            text = done + text[len(shown):] if text.startswith(shown) else text
        return re.sub(r"\b(localhost|127\.0\.0\.1):8000\b", rf"\1:{self.port}", text) if self.port else text

    def to_page(self, text):
        text = text.replace(str(self.directory), HOME)
        return re.sub(rf"\b(localhost|127\.0\.0\.1):{self.port}\b", r"\1:8000", text) if self.port else text

    # Blocks

    def _do(self, block):
        if "skip" in block.marks:
            return
        if block.language == "console":
            self._console(block)
        elif block.language == "terminal":
            self._terminal(block.text)
        elif block.language == "diff" and "file" in block.marks:
            self._edit(block)
        elif "file" in block.marks:
            self._save(block.marks["file"], self.to_real(block.text), "fails" in block.marks)
        elif "from" in block.marks:
            if block.text not in (TREE / block.marks["from"]).read_text():
                raise Wrong(f"{block}: {block.marks['from']} doesn't say so")
        elif block.language in COMPILERS and block.marks.get("part") in PARTS:
            self._compile(block)
        elif block.language == "yaml":
            self._configure(block)
        elif block.language == "json":
            self._parse_json(block)
        else:
            raise Wrong(f"{block}: what is to be done with it? t/lib/markdown.py has the marks")

    def _parse_json(self, block):
        try:
            json.loads(block.text)
        except ValueError as e:
            raise Wrong(f"{block}: {e}") from None

    def _console(self, block):
        commands = []
        for line in block.text.splitlines():
            if line.startswith("$ "):
                commands.append([line[2:], ""])
            elif line.startswith("> ") and commands and not commands[-1][1]:
                commands[-1][0] += "\n" + line[2:]
            elif commands:
                commands[-1][1] += line + "\n"
            else:
                raise Wrong(f"{block}: it must begin with a command, after `$ `")
        if not commands:
            raise Wrong(f"{block}: no command is in it")
        if "server" in block.marks:
            (command, shown), = commands
            self._start(command, shown)
            return
        for i, (command, shown) in enumerate(commands):
            last = i == len(commands) - 1
            self._command(command, shown, int(block.marks.get("status", 0)) if last else 0)

    def _command(self, command, shown, status):
        run = subprocess.run(["bash", "-o", "pipefail", "-c", self.to_real(command)], cwd=self.directory, env=self.env,
                             timeout=2 * PATIENCE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
        said = self.to_page(run.stdout.decode(errors="replace").replace("\r\n", "\n"))
        said += "\n" if said and not said.endswith("\n") else ""
        if run.returncode != status:
            raise Wrong(f"$ {command}\nended with {run.returncode}, not {status}:\n{said}")
        if not re.fullmatch(pattern(shown), said):
            raise Wrong(f"$ {command}\nprinted\n{said}\nand not\n{shown}")

    def _start(self, command, shown):
        self.close()
        command = self.to_real(command)
        root = re.match(r"devserve(?: (?!-)(\S+))?", command)
        if not root:
            raise Wrong(f"$ {command}: that is no server")
        self.root = self.directory / (root[1] or "plugins")
        port = "" if "--port" in command else " --port 0"
        wait_until_older(self.directory)
        self.screen = Screen(command + port, self.directory, self.env)
        self.port = self.screen.wait(r"http://127\.0\.0\.1:(\d+)")[1]
        self.screen.seen = 0
        self.screen.wait(r"^ready\b.*\n")
        self.screen.seen = 0
        # What it knows of loops it takes from its store now: an answer comes behind that.
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/health/live", timeout=PATIENCE):
            pass
        self._terminal(shown)

    def _terminal(self, shown):
        if not self.screen:
            raise Wrong("no server runs yet")
        try:
            self.screen.wait("^" + pattern(shown, times=True), self.to_page)
        except Wrong as e:
            raise Wrong(f"{e}\nand not\n{shown}") from None

    def _save(self, name, text, fails):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if not self.screen or not path.is_relative_to(self.root):
            return
        deployment = pathlib.Path(path.relative_to(self.root).parts[0]).stem
        run = subprocess.run(["devserve", "wait", deployment, "--root", self.root],
                             cwd=self.directory, env=self.env, timeout=4 * PATIENCE, capture_output=True, text=True)
        if (run.returncode != 0) != fails:
            raise Wrong(f"{name} is {'served' if fails else 'not served'}: {run.stdout}{run.stderr}")

    def _edit(self, block):
        name = block.marks["file"]
        text = (self.directory / name).read_text()
        lines = block.text.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        if text.count(old) != 1:
            raise Wrong(f"{block}: the old lines are {text.count(old)} times in {name}")
        self._save(name, text.replace(old, new), "fails" in block.marks)

    def _compile(self, block):
        source = PARTS[block.marks["part"]] % block.text
        for compiler in COMPILERS[block.language]:
            if not shutil.which(compiler[0]):
                continue  # clang is for who has it
            run = subprocess.run([*compiler, "-Wall", "-Wextra", "-Wno-unused", "-Wno-unused-function", "-Werror",
                                  "-fsyntax-only", f"-I{TREE / 'include'}", "-"], input=source, capture_output=True,
                                 text=True, timeout=PATIENCE)
            if run.returncode:
                raise Wrong(f"{block}: {run.stderr}")

    def _configure(self, block):
        root = self.directory / ".configuration"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(TREE / "plugins/simple", root / "plugins/simple")
        (root / "plugins/simple/deployment.yaml").write_text(block.text)
        run = subprocess.run(["devserve", "check", root / "plugins"], env=self.env, capture_output=True,
                             text=True, timeout=4 * PATIENCE)
        if run.returncode:
            raise Wrong(f"{block}: {run.stdout}{run.stderr}")
