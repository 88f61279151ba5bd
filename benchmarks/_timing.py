"""Compare the cost of pieces of work: each runs in a fresh process, in turn, and only the ratio counts."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Cost:
    """The cost of a piece of work: CPU seconds of all threads (user and system), wall seconds, peak resident bytes."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


def measure(work: Callable[[], object]) -> Cost:
    """Run a piece of work in this process; the peak is that of the process so far."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    return Cost(cpu_seconds() - cpu, time.perf_counter() - wall, peak_bytes())


def cpu_seconds() -> float:
    """CPU seconds of all threads of this process, and of its children that have ended."""
    return sum(os.times()[:4])


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory at the fork
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_child(module: str, *arguments: str) -> Cost:
    """Run `python -m module arguments` in a process of its own; it prints its cost with `report`."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def report(cost: Cost) -> None:
    """Print a cost for `in_child`."""
    print(json.dumps(cost.__dict__))


def spread(values: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}"
