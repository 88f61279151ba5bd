"""Compare two timings on a noisy machine: in turn, many times, by the median of the ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

Clock = Callable[[], float]


def seconds(work: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Seconds of one call, by default of the wall."""
    gc.collect()
    started = clock()
    work()
    return clock() - started


def compare(
    ours: Callable[[], object], reference: Callable[[], object], pairs: int, clock: Clock = time.perf_counter
) -> tuple[float, float, float]:
    """Median seconds of ours and of the reference, and the median ratio of the pairs, each pair in the other order."""
    times: list[tuple[float, float]] = []
    for number in range(pairs):
        if number % 2:
            theirs, mine = seconds(reference, clock), seconds(ours, clock)
        else:
            mine, theirs = seconds(ours, clock), seconds(reference, clock)
        times.append((mine, theirs))
    median = statistics.median
    return median(a for a, _ in times), median(b for _, b in times), median(a / b for a, b in times)
