# SPDX-License-Identifier: MIT
"""What a page shows wrongly fails its test, and is told with its block (t/lib/walkthrough.py)."""

import pytest

from markdown import blocks, indented_blocks
from walkthrough import Walkthrough, Wrong

PLUGIN = """\
```c file=plugins/one.c
#include <devserve/deployment.h>
static int infer(const struct devserve_call *call)
{
	*(float *)call->out[0].data = 1;
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { 1 } }),
	.infer = infer,
)
```
```console server
$ devserve
…
ready in 1 ms  1 of 1 serve  http://127.0.0.1:8000
```
"""

RIGHT = [
    "```console\n$ echo one; echo 22 three\none\n2… three\n```",
    "```console\n$ seq 9\n1\n…\n8\n9\n```",
    "```console\n$ echo a\n> echo b\na\nb\n```",
    "```console status=3\n$ echo no; exit 3\nno\n```",
    "```console\n$ pwd; curl -s localhost:8000 || true\n/home/me\n```",
    "```c part=infer\nreturn devserve_refuse(call, \"%d\", 1);\n```",
    "```yaml\nnum_replicas: 2\n```",
    '```json\n{"a": [1]}\n```',
    "```c from=examples/hello/hello.c\n\t\ty[i] = 2 * x[i];\n```",
    PLUGIN + "```console\n$ curl -s localhost:8000/v2/models/one/ready\n{…true}\n```",
    PLUGIN + "```diff file=plugins/one.c fails\n-	return 0;\n+	return zero;\n```\n```terminal\n14:03:22 one  build failed…\n```",
    PLUGIN + "```diff file=plugins/one.c\n-	return 0;\n+	return 1;\n```\n"
    "```terminal\n14:03:22 one  gen 1→2  saved→serving 9 ms (settle 9, gcc 9.9, …)\n```",
]

WRONG = {
    "another text": "```console\n$ echo one\ntwo\n```",
    "a line that doesn't come": "```console\n$ echo one\none\ntwo\n```",
    "a line too many": "```console\n$ echo one; echo two\none\n```",
    "silence": "```console\n$ echo one\n```",
    "another status": "```console\n$ exit 3\n```",
    "a status that doesn't come": "```console status=3\n$ true\n```",
    "a command that isn't there": "```console\n$ devserve-nothing\n…\n```",
    "an option that isn't there": "```console\n$ devserve status --nothing\n…\n```",
    "a failure in the middle of a pipe": "```console\n$ false | true\n```",
    "no command": "```console\ndevserve\n```",
    "no mark": "```c\nint x;\n```",
    "no language": "```\n$ make\n```",
    "C that doesn't compile": "```c part=infer\nreturn devserve_nothing(call);\n```",
    "C++ that doesn't compile": "```c++ part=file\nint x = nullptr;\n```",
    "a file that says something else": "```c from=examples/hello/hello.c\n\t\ty[i] = 7 * x[i];\n```",
    "a key that isn't there": "```yaml\nnum_replica: 2\n```",
    "a value out of range": "```yaml\nnum_replicas: 2000\n```",
    "broken JSON": "```json\n{'a': 1}\n```",
    "a plugin that doesn't build": PLUGIN + "```diff file=plugins/one.c\n-	return 0;\n+	return zero;\n```",
    "a plugin that builds after all": PLUGIN + "```diff file=plugins/one.c fails\n-	return 0;\n+	return 1;\n```",
    "an edit of what isn't there": PLUGIN + "```diff file=plugins/one.c\n-	return 7;\n+	return 1;\n```",
    "a wrong answer": PLUGIN + "```console\n$ curl -s localhost:8000/v2/models/one/ready\n{…false}\n```",
    "a terminal before there is one": "```terminal\nready\n```",
}


def walk(page, directory):
    found = blocks("page.md", page)
    w = Walkthrough(page, found, directory)
    try:
        for block in found:
            w.run(block)
    finally:
        w.close()


@pytest.mark.parametrize("page", RIGHT, ids=range(len(RIGHT)))
def test_what_is_so_passes(page, tmp_path):
    walk(page, tmp_path / "page")


@pytest.mark.parametrize("page", WRONG.values(), ids=WRONG)
def test_a_mistake_fails(page, tmp_path):
    with pytest.raises(Wrong):
        walk(page, tmp_path / "page")


def test_what_a_server_never_says_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("walkthrough.PATIENCE", 0.5)
    with pytest.raises(Wrong, match="didn't print that"):
        found = blocks("page.md", "```terminal\nnothing like it\n```")
        w = Walkthrough("", found, tmp_path / "page")
        from walkthrough import Screen
        w.screen = Screen("sleep 60", tmp_path, w.env)
        try:
            w.run(found[0])
        finally:
            w.close()


def test_a_block_after_a_wrong_one_is_run_all_the_same(tmp_path):
    found = blocks("page.md", "```console\n$ false\n```\n\n```console\n$ true\n```\n")
    w = Walkthrough("", found, tmp_path / "page")
    w.run(found[1])
    with pytest.raises(Wrong):
        w.run(found[0])


def test_code_without_a_fence_is_seen():
    assert indented_blocks("text\n\n    make\n") == [3]
    assert indented_blocks("- item\n\n    more of it\n\n```console\n\n    $ make\n```\n") == []


def test_a_block_without_an_end_is_seen():
    with pytest.raises(AssertionError, match="page.md:2: this block has no end"):
        blocks("page.md", "\n```c\nint x;\n")
