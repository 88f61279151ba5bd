"""The access log: one JSON object a line, on standard output, written by a thread of its own.

A line is written at once and whole, so that workers can share a file, and a killed server loses no answered request but
the last. Whoever does not read a pipe stops this thread, not the requests; lines are then dropped and counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from queue import Full, Queue
from threading import Thread
from typing import Any

import msgspec

MOST_WAITING = 10_000
STDOUT = 1


def to_stdout(line: bytes) -> None:
    """Write a line to standard output, past the buffer of Python."""
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(STDOUT, rest) :]


class AccessLog:
    """Lines on their way.

    n_dropped : lines that found no place
    """

    def __init__(self, write: Callable[[bytes], None] = to_stdout) -> None:
        self.write, self.n_dropped = write, 0
        self._lines: Queue[bytes] = Queue(MOST_WAITING)
        self._thread = Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def add(self, fields: Mapping[str, Any]) -> None:
        """Add a line, without waiting."""
        try:
            self._lines.put_nowait(msgspec.json.encode(fields) + b"\n")
        except Full:
            self.n_dropped += 1

    def flush(self) -> None:
        """Wait until all lines are written."""
        self._lines.join()

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self.write(line)
            except OSError:
                self.n_dropped += 1  # the other end of a pipe is gone
            finally:
                self._lines.task_done()
