#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Record what a terminal shows while somebody saves, and draw it.

    build/venv/bin/python docs/session/session.py            both, into this directory
    build/venv/bin/python docs/session/session.py draw       the picture alone

save.cast is asciicast v2 (`asciinema play save.cast`): what a real devserve printed, with its
real times; only the commands are typed by this script, and the directory and the port are called
what they would be called at home. save.svg is the last screen of it.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import termios
import time
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
sys.path.insert(0, str(TREE / "t/lib"))

import pyte  # noqa: E402

COLUMNS, ROWS = 100, 24
KEY_S, PAUSE_S = 0.03, 0.8  # between keys, and after what is to be read
HOME = "/home/ada"

SOURCE = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	const float *x = call->in[0].data;
	float *y = call->out[0].data;

	for (int i = 0; i < 4; i++)
		y[i] = 2 * x[i];
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { 4 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { 4 } }),
	.infer = infer,
)
"""

REQUEST = '{"inputs": [{"name": "X", "datatype": "FP32", "shape": [4], "data": [1, 2, 3, 4]}]}'

# What is typed, and what is waited for.
STEPS = [
    ("devserve plugins &", "of 1 serve"),
    ("sed -i 's/2 \\* x/3 * x/' plugins/scale/scale.c", "gen 1→2"),
    ("curl -s localhost:8000/v2/models/scale/infer -d @request.json | grep -o '\"data.*'", "data"),
    ("sed -i 's/3 \\* x/k * x/' plugins/scale/scale.c", "build failed"),
    ("sed -i 's/k \\* x/3 * x/' plugins/scale/scale.c", "gen 2→3"),
]


# Recording

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Recorder:
    """A shell without prompt and echo; both are the recorder's, so that no line is printed behind them."""

    def __init__(self, directory, build):
        from terminal import Terminal

        self.directory, self.port = directory, free_port()
        self.t = Terminal(["dash", "-i"], COLUMNS, ROWS, cwd=directory, record=True, env={
            "PS1": "", "DEVSERVE_PORT": str(self.port), "PATH": f"{build}:{os.environ['PATH']}"})
        modes = self.t.modes
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(self.t.theirs, termios.TCSANOW, modes)

    def type(self, command, awaited, fast):
        for text in ["\033[1m$\033[0m ", *command, "\r\n"]:
            self.t.show(text)
            time.sleep(0 if fast else KEY_S)
        mark = len(self.t.text)
        self.t.press(command.replace(":8000/", f":{self.port}/") + "\n")
        self.t.wait_text("\n", self.t.wait_text(awaited, mark))
        self.t.wait(lambda: self.t.text.rfind("\033[K") >= self.t.text.rfind("building "), "the line without progress")
        time.sleep(0 if fast else PAUSE_S)

    def events(self):
        """[seconds, text] by lines, so that no name is cut in two."""
        events, start = [], self.t.record[0][0]
        for when, text in self.t.record:
            if events and not events[-1][1].endswith(("\n", "building  scale")) and len(text) > 1:
                events[-1][1] += text
            else:
                events.append([round(when - start, 3), text])
        for event in events:
            event[1] = event[1].replace(str(self.directory), HOME).replace(f":{self.port}", ":8000")
        return events


def record(build, fast=False):
    """The text of a cast."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="devserve-session-"))
    (directory / "plugins/scale").mkdir(parents=True)
    (directory / "plugins/scale/scale.c").write_text(SOURCE)
    (directory / "request.json").write_text(REQUEST)
    recorder = Recorder(directory, build)
    try:
        for command, awaited in STEPS:
            recorder.type(command, awaited, fast)
        events = recorder.events()
        recorder.t.press("kill $!; wait; exit\n")
        recorder.t.wait_end()
    finally:
        recorder.t.stop()
        shutil.rmtree(directory)
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "devserve: a save, a mistake, and its undoing",
              "env": {"TERM": "xterm-256color"}}
    return "".join(json.dumps(line, ensure_ascii=False) + "\n"
                   for line in [header, *([when, "o", text] for when, text in events)])


# Drawing

CELL, LINE, SIZE, PAD, BAR = 8.4, 19, 14, 16, 30
BOLD = ' font-weight="bold"'
COLOURS = {"default": "#d7dae0", "brightblack": "#7f8694", "red": "#f07178", "green": "#a5d86e", "brown": "#ffcb6b",
           "magenta": "#c792ea", "blue": "#82aaff", "cyan": "#89ddff"}


def screen_of(cast):
    """The last screen of a cast."""
    header, *events = [json.loads(line) for line in cast.splitlines()]
    screen = pyte.Screen(header["width"], header["height"])
    stream = pyte.Stream(screen)
    for _, kind, text in events:
        if kind == "o":
            stream.feed(text.replace("\033[2m", "\033[90m"))  # pyte has no faint
    return screen


def runs(row, width):
    """(column, text, colour, bold) of neighbours that look the same; a gap of blanks ends one."""
    column = 0
    while column < width:
        first, start = row[column], column
        while column < width and (row[column].fg, row[column].bold) == (first.fg, first.bold):
            column += 1
        text = "".join(row[c].data for c in range(start, column))
        for part in re.finditer(r"\S+( \S+)*", text):
            yield start + part.start(), part[0], COLOURS.get(first.fg, COLOURS["default"]), first.bold


def draw(cast):
    """The picture of a cast, as SVG."""
    screen = screen_of(cast)
    rows = max(y for y, line in enumerate(screen.display) if line.strip()) + 1
    width, height = round(COLUMNS * CELL + 2 * PAD), rows * LINE + BAR + 2 * PAD - 8
    title = json.loads(cast.splitlines()[0])["title"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
           f"<title>{escape(title)}</title>",
           f'<rect width="{width}" height="{height}" rx="8" fill="#1d2026"/>']
    out += [f'<circle cx="{PAD + 4 + 18 * i}" cy="18" r="5.5" fill="{c}"/>'
            for i, c in enumerate(("#f07178", "#ffcb6b", "#a5d86e"))]
    out.append(f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" '
               f'font-size="{SIZE}">')
    for y in range(rows):
        for column, text, colour, bold in runs(screen.buffer[y], screen.columns):
            out.append(f'<text x="{PAD + column * CELL:.1f}" y="{BAR + PAD + y * LINE}" fill="{colour}"'
                       f'{BOLD if bold else ""} textLength="{len(text) * CELL:.1f}" '
                       f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    if sys.argv[1:] != ["draw"]:
        os.environ.setdefault("DEVSERVE_BUILD", str(TREE / "build"))
        (HERE / "save.cast").write_text(record(os.environ["DEVSERVE_BUILD"]))
    (HERE / "save.svg").write_text(draw((HERE / "save.cast").read_text()))


if __name__ == "__main__":
    main()
