# SPDX-License-Identifier: MIT
"""The rows of bench/gpu about many saves run: on the fake driver where no GPU is, for the sake of their code
alone; no figure of them means anything then."""

import sys

import pytest

from devserve import TREE
from gpu import GPU, fake, gpu, needs_toolkit  # noqa: F401, fixtures

sys.path.insert(0, str(TREE / "bench"))

import gpu_saves  # noqa: E402

pytestmark = needs_toolkit


def test_what_is_told_of_known_saves_is_counted(root, gpu):
    gpu_saves.write(root, gpu_saves.kernel(gpu_saves.LOOPS, 0))
    told = gpu_saves.verdicts(gpu(), 1)
    assert {kind: len(t) for kind, t in told.items()} == {"same": 1, "slower": 1, "faster": 1}
    rows = gpu_saves.describe_verdicts(told)
    assert len(rows) == 3 and all("wrong 0" in row[1] for row in rows), told


def test_wrong_and_missing_verdicts_are_told_as_such():
    told = {"same": [{"verdict": "FASTER", "ratio": 1.05}], "slower": [{"verdict": "UNSURE", "ratio": None}],
            "faster": [{"verdict": "FASTER", "ratio": 1.03}]}
    same, slower, faster = gpu_saves.describe_verdicts(told)
    assert same[1] == "SAME 0 of 1, wrong 1, at most 4.88 % off"
    assert slower[1] == "SLOWER 0 of 1, wrong 0, none was measured"
    assert faster[1] == "FASTER 1 of 1, wrong 0, at most 0.00 % off"


def test_swaps_under_a_client_give_no_wrong_answer(root, gpu):
    gpu_saves.write(root, gpu_saves.adder(0))
    found = gpu_saves.swaps(gpu(), 20, lambda: 0)
    assert not found["wrong"] and found["answers"] > 20 and found["grown"] == 0, found
