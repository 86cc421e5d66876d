# SPDX-License-Identifier: MIT
"""What a run of bench/gpu has found, in its files from the beginning: whatever ends it, they have all that was measured,
and say of the rest why it is missing."""

import json
import os
import pathlib
import time
import traceback


def sentence(error):
    """What went wrong, and in which of our lines."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/lib/python" not in f.filename]
    where = f" ({pathlib.Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500] + where


class Results:
    """Rows as they come. `missing`: why one has no figures."""

    def __init__(self, rows, others, about, path):
        self.rows, self.others, self.about, self.path = rows, others, about, path
        self.raw, self.missing = {}, {row.name: "not reached" for row in rows}
        self.failed = set()
        self.under_way = None

    def measure(self, row, bench):
        """Whatever it fails with, the others are still worth having."""
        found = self.raw[row.name] = {}
        self.missing[row.name], self.under_way, started = "the run ended while it was under way", row, time.monotonic()
        self.write()
        try:
            row.measure(bench, found)
            del self.missing[row.name]
        except Exception as e:
            self.fail(row, e, server=bench.story[-8000:])
        found["took_s"] = round(time.monotonic() - started, 1)
        bench.story, self.under_way = "", None
        lines = self.lines_of(row)
        self.write()
        for line in lines:
            print(self.text_of(line), flush=True)

    def fail(self, row, error, **more):
        self.failed.add(row.name)
        self.missing[row.name] = sentence(error)
        self.raw[row.name].update(missing=sentence(error), traceback=traceback.format_exception(error), **more)

    def leave_out(self, row, why):
        self.missing[row.name] = why
        self.write()
        print(self.text_of((row.name, "missing", why)), flush=True)

    def stop(self, why):
        """The run ends here, perhaps before another line of ours can be run."""
        if self.under_way:
            self.missing[self.under_way.name] = why
        for row in self.rows:
            if self.missing.get(row.name) == "not reached":
                self.missing[row.name] = f"not reached: {why}"
        self.write()

    def lines_of(self, row):
        """A line that can't be made of what was found is that row's failure, too."""
        if row.name not in self.missing:
            try:
                return row.describe(self.raw[row.name], {n: f for n, f in self.raw.items() if n not in self.missing})
            except Exception as e:
                self.fail(row, e)
        return [(row.name, "missing", self.missing[row.name])]

    @staticmethod
    def text_of(line):
        return f"{line[0]:34} {line[1]:60} {line[2]}"

    def write(self):
        lines = [line for row in self.rows for line in self.lines_of(row)]
        if self.others:
            lines.append(("not asked for", "missing", ", ".join(self.others)))
        told = {"about": self.about, "missing": self.missing, "not_asked_for": self.others, "rows": lines, "raw": self.raw}
        table = "\n".join(map(self.text_of, lines))
        replace(f"{self.path}.json", json.dumps(told, indent=1) + "\n")
        replace(f"{self.path}.txt", f"{json.dumps(self.about, indent=1)}\n\n{table}\n")


def replace(path, text):
    """There is always one of them, and it is whole."""
    with open(f"{path}.new", "w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(f"{path}.new", path)


def free_path(directory, name):
    """That of files that are not there yet: no run writes over what another has kept."""
    n, path = 1, directory / name
    while any(os.path.exists(f"{path}.{end}") for end in ("json", "txt")):
        n += 1
        path = directory / f"{name}-{n}"
    return path
