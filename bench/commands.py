# SPDX-License-Identifier: MIT
"""More rows of the table: what a person waits for who types a command."""

from harness import alternate, median, quartiles, run_alone
from rows import MS, Row, ms


def compare(bench, rounds, ours, theirs):
    """ns of each command, in turn."""
    log = bench.path("log")
    return zip(*(alternate(i, lambda: run_alone([*map(str, ours)], log), lambda: run_alone([*map(str, theirs)], log))
                 for i in range(bench.rounds(rounds))))


def row(name, what, samples, compared, must, aim):
    ours, theirs = map(list, samples)
    return Row(name, what, ms(median(ours)), f"{ms(median(theirs))} {compared}", median(ours) / MS, must, aim, "ms",
               spread=tuple(q / MS for q in quartiles(ours)), samples={"measured": ours, "compared": theirs})


def helping(bench):
    samples = compare(bench, 41, [bench.build / "devserve", "--help"], ["gcc", "--version"])
    yield row("help", "devserve --help", samples, "gcc --version", 10, 5)


def examining(bench):
    root = bench.path("plugins")
    root.mkdir()
    source = bench.file("empty.cc", b"#include <cstddef>\n")
    samples = compare(bench, 9, [bench.build / "devserve", "doctor", root], ["g++", "-fsyntax-only", source])
    yield row("doctor", "devserve doctor", samples, "g++ -fsyntax-only", 1000, 400)


ROWS = {"help": helping, "doctor": examining}
