"""Peak memory and CPU seconds of each task of a run whose tasks share one process, seen from outside (Linux).

`dag.test`, and so `make run`, runs all tasks in one process. Its high-water mark (VmHWM) is exact, but knows no tasks:
only a stage that begins its work lowers it. So both it and the resident memory are read at short intervals. Within a
task the mark counts from its first change on, as it is then of this task; before that the resident memory counts.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

EVERY_S, LOOK_EVERY_S = 0.02, 0.5
RUN, STORE = "local.dag_run", "local.guarded_store"


@dataclass(frozen=True)
class Reading:
    """Of one instant: bytes of the process of the run, its high-water mark, and bytes of the processes below it.

    cpu_s : CPU seconds of the process so far, and of those below it that have ended
    """

    at_s: float
    rss: int
    mark: int
    below: int
    cpu_s: float = 0.0


@dataclass
class Watch:
    """Reads the memory of what a process starts, from a thread, until it is left.

    store_peak : bytes of the local S3 at most; least_available : bytes that the machine had left at least
    """

    pid: int
    readings: list[Reading] = field(default_factory=list)
    store_peak: int = 0
    least_available: int = sys.maxsize
    _end: threading.Event = field(default_factory=threading.Event)
    _run: psutil.Process | None = None
    _store: psutil.Process | None = None
    _below: list[psutil.Process] = field(default_factory=list)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        looked_s = 0.0
        while not self._end.wait(EVERY_S):
            with suppress(psutil.Error, OSError):
                if time.monotonic() - looked_s > LOOK_EVERY_S:
                    looked_s = time.monotonic()
                    self._look()
                self._read()

    def _look(self) -> None:
        self.least_available = min(self.least_available, psutil.virtual_memory().available)
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.Error):
                words = process.cmdline()
                self._run = process if RUN in words else self._run
                self._store = process if STORE in words else self._store
        if self._run is not None:
            self._below = self._run.children(recursive=True)
        if self._store is not None:
            self.store_peak = max(self.store_peak, _memory(self._store.pid)[1])

    def _read(self) -> None:
        if self._run is None:
            return
        rss, mark = _memory(self._run.pid)
        below = 0
        for process in self._below:
            with suppress(psutil.Error):
                below += process.memory_info().rss
        self.readings.append(Reading(time.time(), rss, mark, below, sum(self._run.cpu_times()[:4])))


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes, and their high-water mark."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = [re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE) for name in ("VmRSS", "VmHWM")]
    rss, mark = (int(each[1]) * 1024 if each else 0 for each in found)
    return rss, mark


def peak_within(readings: Sequence[Reading], from_s: float, to_s: float) -> tuple[int, int]:
    """The memory held when a task began, and its peak, in bytes; see the module."""
    before = [reading for reading in readings if reading.at_s <= from_s]
    within = [reading for reading in readings if from_s < reading.at_s <= to_s]
    old_mark = before[-1].mark if before else -1
    held = before[-1].rss + before[-1].below if before else 0
    peaks = [(row.rss if row.mark == old_mark else row.mark) + row.below for row in within]
    return held, max(peaks, default=held)


def cpu_within(readings: Sequence[Reading], from_s: float, to_s: float) -> float:
    """CPU seconds of a task, to the interval of the readings."""
    first, last = ([row.cpu_s for row in readings if row.at_s <= at_s][-1:] for at_s in (from_s, to_s))
    return sum(last) - sum(first)
