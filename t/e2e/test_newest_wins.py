# SPDX-License-Identifier: MIT
"""Saves that come at any moment of another one's build: the last one serves in the end."""

import random
import time

from devserve import LONG, constant


def test_no_save_is_missed_whenever_it_comes(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    rng = random.Random(7)
    value = 0
    for _ in range(400 if LONG else 60):
        mark = server.mark()
        for _ in range(rng.randint(2, 4)):
            value += 1
            root.write("one/one.c", constant(value))
            time.sleep(rng.uniform(0, 0.12))  # to hit every moment of a build, not to wait for one
        while (answer := server.infer("one")).value != value or answer.stale:
            ended = server.wait("save.done", mark, deployment="one")
            mark = server.events.index(ended) + 1
