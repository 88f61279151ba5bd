"""Progress of long work in the log: how much is done, the rate, and the time that remains."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

EVERY_S = 10.0


class Progress:
    """Logs a line at most every ten seconds, so work that takes less logs none. Threads may share it.

    The remaining time assumes that the rest goes at the average rate since the start.

    Parameters
    ----------
    log : receives the lines, at level INFO
    what : the work, which begins each line
    total : all of the work, above 0
    unit : what is counted, in the plural: "users"; of "bytes" the lines show MB
    done : what was done before the start, such as the part that a resumed download has
    clock : seconds
    """

    def __init__(
        self,
        log: logging.Logger,
        what: str,
        total: float,
        unit: str,
        *,
        done: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._what, self._total = log, what, total
        self._unit, self._size = ("MB", 1e6) if unit == "bytes" else (unit, 1.0)
        self._begin = self._done = done
        self._clock = clock
        self._started = self._last = clock()
        self._lock = threading.Lock()

    def add(self, more: float) -> None:
        """Count more work as done."""
        with self._lock:
            self._done += more
            self._report()

    def at(self, done: float) -> None:
        """Set how much is done in all."""
        with self._lock:
            self._done = done
            self._report()

    def _report(self) -> None:
        now = self._clock()
        if now - self._last < EVERY_S:
            return
        self._last = now
        rate = (self._done - self._begin) / (now - self._started)
        done = f"{self._shown(self._done)} of {self._shown(self._total)} {self._unit}"
        share = min(1.0, self._done / self._total)
        left = f", about {span(max(0.0, self._total - self._done) / rate)} left" if rate > 0 else ""
        self._log.info("%s: %s (%.0f%%), %s %s/s%s", self._what, done, 100 * share, self._shown(rate), self._unit, left)

    def _shown(self, amount: float) -> str:
        """The amount in units: whole where that says enough, else with three digits."""
        value = amount / self._size
        return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def span(seconds: float) -> str:
    """A time in the two largest units that it needs: 40 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
