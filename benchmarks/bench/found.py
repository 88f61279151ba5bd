"""What a piece of work costs, in a process of its own, and how that process reports it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .._timing import ROOT, Cost, cpu_seconds, peak_bytes
from .work import Work

# One BLAS thread, as `implicit` advises; what the library does itself does not depend on it.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


class Found(msgspec.Struct, frozen=True):
    """The cost of a piece and of its parts, and what it found, by name."""

    cost: Cost
    parts: dict[str, Cost] = {}
    notes: dict[str, float] = {}


@dataclass
class Meter:
    """Measures the parts of a piece of work in this process; peaks are those of the process so far."""

    parts: dict[str, Cost] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """One part."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        yield
        self.parts[name] = Cost(cpu_seconds() - cpu, time.perf_counter() - wall, peak_bytes())

    def found(self) -> Found:
        """All parts together."""
        return Found(total(self.parts.values()), self.parts, self.notes)


def total(costs: Iterable[Cost]) -> Cost:
    """All of them, one after the other."""
    rows = list(costs)
    return Cost(
        cpu_s=sum(row.cpu_s for row in rows),
        wall_s=sum(row.wall_s for row in rows),
        peak_bytes=max(row.peak_bytes for row in rows),
    )


def in_process(module: str, *arguments: str) -> Found:
    """Run `python -m module arguments`, which ends with `run_piece`."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, env=os.environ | ENVIRONMENT)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Found)


def run_piece(pieces: Mapping[str, Callable[[Work, Meter], None]]) -> None:
    """Run the piece that the command line names, and print its cost for `in_process`.

    It is in a line of its own, whatever a library has printed.
    """
    meter = Meter()
    pieces[sys.argv[1]](Work.read(Path(sys.argv[2])), meter)
    print()
    print(msgspec.json.encode(meter.found()).decode())
