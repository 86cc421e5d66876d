# SPDX-License-Identifier: MIT
"""The recorded session of the documentation: it can be recorded again, and its picture is of it."""

import json
import re
import sys
import xml.etree.ElementTree as xml

import pytest

from devserve import BUILD, TREE

pytest.importorskip("pyte")
sys.path.insert(0, str(TREE / "docs/session"))
import session  # noqa: E402

STORY = [r"\$ devserve plugins &", r"devserve \S+  http://127\.0\.0\.1:8000  /home/ada/plugins",
         r"\d\d:\d\d:\d\d scale  gen 1  serving after .*", r"ready in .*  1 of 1 serve  http://127\.0\.0\.1:8000",
         r"\$ sed .*", r"\d\d:\d\d:\d\d scale  gen 1→2  saved→serving .*", r"\$ curl .*", r'"data.*\[3,6,9,12\].*',
         r"\$ sed .*", r"plugins/scale/scale\.c:9:24: error: ‘k’ undeclared .*",
         r"\d\d:\d\d:\d\d scale  build failed, 1 error at plugins/scale/scale\.c:9:24; generation 2 still serves",
         r"\$ sed .*", r"\d\d:\d\d:\d\d scale  gen 2→3  saved→serving .*no compile\).*"]


@pytest.fixture(scope="module", params=["committed", "new"])
def cast(request):
    if request.param == "committed":
        return (TREE / "docs/session/save.cast").read_text()
    return session.record(BUILD, fast=True)


def test_the_cast_is_asciicast_v2(cast):
    header, *events = [json.loads(line) for line in cast.splitlines()]
    assert header["version"] == 2 and (header["width"], header["height"]) == (100, 24)
    assert events[0][0] == 0 and [e[0] for e in events] == sorted(e[0] for e in events)
    assert {e[1] for e in events} == {"o"} and all(isinstance(e[2], str) and e[2] for e in events)


def test_it_tells_the_story_and_nothing_of_the_machine_it_was_told_on(cast):
    lines = [line.rstrip() for line in session.screen_of(cast).display]
    at = 0
    for step in STORY:
        at = next((i + 1 for i in range(at, len(lines)) if re.fullmatch(step, lines[i])), None)
        assert at, f"{step} is missing:\n" + "\n".join(lines)
    assert "/tmp" not in cast and str(TREE) not in cast


def test_the_committed_picture_is_of_the_committed_cast():
    cast = (TREE / "docs/session/save.cast").read_text()
    assert (TREE / "docs/session/save.svg").read_text() == session.draw(cast)


def test_a_picture_is_well_formed_and_shows_every_character(cast):
    svg = xml.fromstring(session.draw(cast))
    shown = "".join(t.text for t in svg.iter("{http://www.w3.org/2000/svg}text"))
    assert shown.replace(" ", "") == "".join("".join(line.split()) for line in session.screen_of(cast).display)
    assert all(float(t.get("x")) + float(t.get("textLength")) <= float(svg.get("width"))
               for t in svg.iter("{http://www.w3.org/2000/svg}text"))
