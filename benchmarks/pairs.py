"""Compare two timings on a noisy machine: in turn, many times, by the median of the ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(ours: Callable[[], object], reference: Callable[[], object], pairs: int) -> tuple[float, float, float]:
    """Median seconds of ours and of the reference, and the median ratio of the pairs, each pair in the other order."""
    times: list[tuple[float, float]] = []
    for number in range(pairs):
        if number % 2:
            theirs, mine = seconds(reference), seconds(ours)
        else:
            mine, theirs = seconds(ours), seconds(reference)
        times.append((mine, theirs))
    median = statistics.median
    return median(a for a, _ in times), median(b for _, b in times), median(a / b for a, b in times)
