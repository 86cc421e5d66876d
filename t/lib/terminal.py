# SPDX-License-Identifier: MIT
"""A program on a terminal, as a person sees it: pyte is the terminal, the kernel's pty the line."""

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pyte

from devserve import PATIENCE

LEFT = ("NO_COLOR", "TERM_URLS", "TERM_PROGRAM", "VTE_VERSION", "KONSOLE_VERSION", "WT_SESSION", "COLORTERM")


class Terminal:
    """One program, its own session and foreground job, until stop()."""

    def __init__(self, argv, columns=200, rows=40, env=None, cwd=None, stdin=None, record=False):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.record = [] if record else None  # (time, text)
        self.text, self.news, self.ended = "", threading.Condition(), False
        self.ours, self.theirs = pty.openpty()
        self._set_size(columns, rows)
        self.before = termios.tcgetattr(self.theirs)
        environment = {k: v for k, v in os.environ.items() if k not in LEFT}
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=self.theirs if stdin is None else stdin, stdout=self.theirs,
            stderr=self.theirs, cwd=cwd, start_new_session=True,
            env={"DEVSERVE_GATE": "load", **environment, "TERM": "xterm-256color", **(env or {})},
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0))
        self.leave = os.eventfd(0)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        decode = codecs.getincrementaldecoder("utf-8")().decode
        while True:
            readable, _, _ = select.select([self.ours, self.leave], [], [])
            try:
                data = b"" if self.leave in readable else os.read(self.ours, 65536)
            except OSError:
                data = b""
            with self.news:
                self.ended = not data
                self.show(decode(data))
            if not data:
                return

    def show(self, text):
        """As if a program had written it."""
        with self.news:
            self.text += text
            self.stream.feed(text)
            if self.record is not None and text.strip("\0"):
                self.record.append((time.monotonic(), text.strip("\0")))
            self.news.notify_all()

    def _set_size(self, columns, rows):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows=40):
        """The kernel sends SIGWINCH."""
        with self.news:
            self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def press(self, keys):
        os.write(self.ours, keys.encode())

    @property
    def lines(self):
        """What is on the screen, without the empty lines."""
        with self.news:
            return [line.rstrip() for line in self.screen.display if line.strip()]

    def wait(self, holds, what):
        """Until `holds()` with the screen and the text as they are then; its value."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while not (value := holds()):
                left = deadline - time.monotonic()
                assert left > 0 and not self.ended, f"{what} is not there:\n" + "\n".join(self.lines)
                self.news.wait(left)
            return value

    def wait_line(self, part):
        """The first line of the screen that has `part`."""
        return self.wait(lambda: next((line for line in self.lines if part in line), None), repr(part))

    def wait_text(self, part, after=0):
        """Where `part` ends in all that was written, escape sequences included."""
        return self.wait(lambda: self.text.find(part, after) + 1, repr(part)) - 1 + len(part)

    @property
    def modes(self):
        return termios.tcgetattr(self.theirs)

    @property
    def flags(self):
        """Of the open file description that its stdin, stdout and stderr are."""
        return fcntl.fcntl(self.theirs, fcntl.F_GETFL)

    @property
    def is_raw(self):
        return not self.modes[3] & (termios.ICANON | termios.ECHO)

    def wait_mode(self, raw):
        """Nothing tells of a change: it is looked for."""
        deadline = time.monotonic() + PATIENCE
        while self.is_raw != raw:
            assert time.monotonic() < deadline, f"raw: {self.is_raw}"
            time.sleep(0.01)

    def wait_end(self):
        """Its exit status; then all that it wrote has been read: a NUL behind it, which shows nothing, has."""
        status = self.process.wait(PATIENCE)
        if self.theirs is None:  # nobody reads any more
            return status
        os.write(self.theirs, b"\0")
        self.wait(lambda: "\0" in self.text, "the end")
        with self.news:
            self.text = self.text.replace("\0", "")
        return status

    def hang_up(self):
        """As when the window is closed: nobody has the terminal any more but its programs."""
        os.eventfd_write(self.leave, 1)
        self.reader.join(PATIENCE)
        for fd in (self.theirs, self.ours, self.leave):
            os.close(fd)
        self.theirs = None

    def stop(self):
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.theirs is not None:
            self.hang_up()

    def story(self):
        return self.text[-8000:]
