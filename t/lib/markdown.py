# SPDX-License-Identifier: MIT
"""The fenced blocks of a Markdown file, and what their first lines say is to be done with them.

    ```console             commands after `$ `, continued after `> `; below each what it prints
    ```console status=4    … and the last one ends with that status
    ```console server      one command, a server that goes on running; below what it prints first
    ```terminal            what the server of this page has printed since the last such block
    ```LANGUAGE file=PATH          that file; a server that serves it has swapped, then
    ```LANGUAGE file=PATH fails    … and has refused it
    ```diff file=PATH              lines that go and lines that come, once in that file
    ```c part=NAME         a part of a plugin that compiles inside of PARTS[NAME]; c++ as well
    ```c from=PATH         a part of a file of this tree, word for word
    ```yaml                a deployment.yaml that devserve takes
    ```json                JSON
    ```LANGUAGE skip="…"   not run, and why

Below a command, `…` stands for any text in a line, a line of its own for any lines, and any
number of ms will do; in what a server prints, any time. A page begins in an empty directory, or with `<!-- in: a copy of the tree -->` in one that holds
plugins/, examples/ and build/. Everything else is a mistake, told with its line.
"""

import re
import shlex

FENCE = re.compile(r"^( {0,3})(```+|~~~+)\s*(.*)$")
LIST = re.compile(r"^\s*([-*+]|\d+[.)])\s")


class Block:
    def __init__(self, page, line, info, text):
        self.page, self.line, self.text = page, line, text
        words = shlex.split(info)
        self.language = words[0] if words else ""
        pairs = [word.partition("=") for word in words[1:]]
        self.marks = {key: value if equal else True for key, equal, value in pairs}

    def __str__(self):
        return f"{self.page}:{self.line} {self.language}"

    __repr__ = __str__


def blocks(page, text):
    """The blocks of a page, in order."""
    found, fence, begun = [], None, []
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence is None and match:
            fence, begun = match, [number]
        elif fence and match and match[2].startswith(fence[2]) and not match[3]:
            body = "".join(f"{each.removeprefix(fence[1])}\n" for each in begun[1:])
            found.append(Block(page, begun[0], fence[3], body))
            fence = None
        elif fence:
            begun.append(line)
    assert fence is None, f"{page}:{begun[0]}: this block has no end"
    return found


def prose(text):
    """The page without its blocks and comments, as numbered lines."""
    text = re.sub(r"<!--.*?-->", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    fence, lines = None, []
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence is None and match:
            fence = match
        elif fence:
            fence = None if match and match[2].startswith(fence[2]) and not match[3] else fence
        else:
            lines.append((number, line))
    return lines


def indented_blocks(text):
    """Lines that Markdown takes for code although no fence says what to do with them."""
    found, before, in_list = [], "", False
    for number, line in prose(text):
        if line.strip() and not line.startswith(" "):
            in_list = bool(LIST.match(line))
        if line.startswith(("    ", "\t")) and not in_list and not before.strip():
            found.append(number)
        before = line
    return found


def spans(text):
    """What stands in `backticks`, with its line."""
    return [(number, span) for number, line in prose(text) for span in re.findall(r"`([^`]+)`", line)]
