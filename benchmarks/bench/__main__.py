"""Every stage of the library beside named references, on generated reviews. `make bench`.

    python -m benchmarks.bench [--reviews 5000000] [--core] [--factors 64] [--folder DIR]

1. The work of a script: read, encode, train, and judge the same users; once by the library, once by pandas and
   `implicit`. Both have the same reviews, the same split and the same confidences, so their recall is about the same.
2. Each stage of a run on a local S3 server, as a job of its own (`benchmarks.stages`).
3. Single pieces beside a reference: `isal` that only unpacks, `implicit` and irspack that train on the same matrix, and
   the float32 products of the judged users with all items.

Each piece runs in a process of its own. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from include.recommender.config import RetrainConfig

from .._timing import Cost
from ..reviews import write
from ..shop import CORE, RAW
from ..stages import predicted, run_all
from .found import Found, in_process, total
from .table import Row, rendered
from .work import Work

LIBRARY, REFERENCES = "benchmarks.bench.library", "benchmarks.bench.references"
MODEL_STAGES = ("choose_model", "train_als", "fit_rivals", "evaluate", "refit")
# Against `implicit`; by whether it is a 5-core.
FIT_AIMS = {False: "8 (wall)", True: "3 (wall)"}
PARTS = ("read", "encode", "train", "evaluate")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reviews", type=int, default=5_000_000, help="number of review lines (%(default)s)")
    parser.add_argument("--core", action="store_true", help="the shape of a 5-core file instead of that of raw reviews")
    parser.add_argument("--factors", type=int, default=64, help="size of the model (%(default)s)")
    parser.add_argument("--judged", type=int, default=50_000, help="users whose lists are made, at most (%(default)s)")
    parser.add_argument("--fit-iterations", type=int, default=5, help="of the fits compared alone (%(default)s)")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in; default: a temporary one")
    parser.add_argument("--no-stages", action="store_true", help="leave out the stages on S3")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        work = Work.of(
            RetrainConfig(),
            Path(folder),
            n_factors=given.factors,
            n_judged=given.judged,
            fit_iterations=given.fit_iterations,
        )
        print(bench(work, given.reviews, core=given.core, stages=not given.no_stages))


def bench(work: Work, n_reviews: int, *, core: bool, stages: bool) -> str:
    """Run everything; return the table with a heading."""
    began = time.perf_counter()
    work.write()
    made = write(work.reviews, n_reviews, shape=CORE if core else RAW)
    say(f"{made.lines:,} reviews, {made.json_bytes / 1e6:,.0f} MB of JSON, {made.packed_bytes / 1e6:,.0f} MB packed")
    ours, theirs = piece(work, LIBRARY, "script"), piece(work, REFERENCES, "script")
    rows = script_rows(ours, theirs)
    rows += [*fit_rows(work, core=core), rank_row(work)]
    rows += stage_rows(work) if stages else []
    heading = (
        f"{made.lines:,} generated reviews ({'5-core' if core else 'raw'}), {made.json_bytes / 1e6:,.0f} MB of JSON, "
        f"{work.n_factors} factors, {os.cpu_count()} cores, {time.perf_counter() - began:,.0f} s. Recall@10 of "
        f"{ours.notes['users']:,.0f} users: {ours.notes['recall']:.4f}, the script {theirs.notes['recall']:.4f}"
    )
    return f"\n{heading}\n\n{rendered(rows)}"


def script_rows(ours: Found, theirs: Found) -> list[Row]:
    """The work of a script, in all and part by part."""
    whole = Row(
        name="work of a script",
        ours=ours.cost,
        reference="pandas + implicit",
        theirs=theirs.cost,
        aim="4 (wall)",
    )
    parts = [Row(name=f"- {name}", ours=ours.parts[name], reference=name, theirs=theirs.parts[name]) for name in PARTS]
    return [whole, *parts]


def fit_rows(work: Work, *, core: bool) -> list[Row]:
    """The fits of one matrix; the aim is against `implicit`, and lower for long histories."""
    ours, name = piece(work, LIBRARY, "fit").cost, f"fit_als, {work.fit_iterations} iterations"
    return [
        Row(
            name=name,
            ours=ours,
            reference=f"{module} {version(module)}",
            theirs=piece(work, REFERENCES, module).cost,
            aim=aim,
        )
        for module, aim in (("implicit", FIT_AIMS[core]), ("irspack", ""))
    ]


def rank_row(work: Work) -> Row:
    """Exact lists beside the products that they need at least."""
    ours, theirs = piece(work, LIBRARY, "rank"), piece(work, REFERENCES, "gemm")
    name = f"rank {ours.notes['users']:,.0f} x {ours.notes['items']:,.0f}"
    return Row(name=name, ours=ours.cost, reference="float32 products", theirs=theirs.cost, aim="0.6 (CPU)")


def stage_rows(work: Work) -> list[Row]:
    """The stages of a run, and some of them beside a reference."""
    unpacked, costs = piece(work, REFERENCES, "isal").cost, dict[str, Cost]()
    for task, found in run_all(work.reviews, work.folder, {"factors": work.n_factors, "max_users": work.n_judged}):
        costs[task] = Cost(found["cpu_s"], found["seconds"], found["peak_bytes"])
        say(f"{task}: {found['seconds']:.1f} s")
        if "fold" in found:
            say(predicted(found["fold"], work.n_factors))
    beside: dict[str, dict[str, Any]] = {
        "parse_reviews": {"reference": "isal, unpacking", "theirs": unpacked, "aim": "0.45 (wall)"},
        "choose_model": {"reference": "train_als", "theirs": costs["train_als"], "aim": "0.5 (wall)"},
        "refit": {"reference": "train_als", "theirs": costs["train_als"]},
    }
    rows = [Row(name=task, ours=cost, **beside.get(task, {})) for task, cost in costs.items()]
    return [*rows, Row(name="all stages", ours=total(costs.values()))]


def piece(work: Work, module: str, name: str) -> Found:
    """Run one piece in a process of its own."""
    found = in_process(module, name, str(work.folder))
    parts = ", ".join(f"{part} {cost.wall_s:.1f}" for part, cost in found.parts.items())
    say(f"{module.rpartition('.')[2]} {name}: {found.cost.wall_s:.1f} s ({parts}) {json.dumps(found.notes)}")
    return found


def say(message: str) -> None:
    """A line of progress, not of the table."""
    print(f"{datetime.now():%H:%M:%S}  {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
