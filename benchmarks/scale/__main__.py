"""Run the real DAG, as `make run` does, on generated reviews of some sizes (Linux).

    python -m benchmarks.scale --reviews 1000000 5000000 --out scale.jsonl     run, print a table each, add figures
    python -m benchmarks.scale --table scale.jsonl                             print how everything grows
    python -m benchmarks.scale --reviews 5000000 --backfill 12                 12 dates over one dump, and each alone

Each size has a home of its own in `--folder`, which is deleted afterwards, as the generated files are. The free disk
is checked first: about 1 kB a review. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from math import ceil
from pathlib import Path

from ..review_lines import LAYOUTS
from ..reviews import LAYOUT, write_files
from ..shop import END
from . import figures, growth
from .driving import Drive, check_disk
from .figures import RunFigures

STEP = timedelta(days=30)
STOPPED = 143
# The local S3 reads a whole object for each range of it, so one large file would cost time and memory of no real store.
FILE_REVIEWS = 2_000_000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reviews", type=int, nargs="+", default=[], help="numbers of review lines")
    parser.add_argument("--layout", choices=LAYOUTS, default=LAYOUT, help="of the lines (%(default)s)")
    parser.add_argument("--files", type=int, help="of the snapshot; default: one for each 2 million reviews")
    parser.add_argument("--factors", type=int, default=64, help="size of the model (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where to work (%(default)s)")
    parser.add_argument("--s3-port", type=int, default=9310, help="of the local S3 (%(default)s)")
    parser.add_argument("--out", type=Path, help="file to add the figures to, a JSON line a run")
    parser.add_argument("--backfill", type=int, default=0, help="number of dates, 30 days apart; the last is the end")
    parser.add_argument("--singles", type=int, help="dates that are also run alone; default: all of the backfill")
    parser.add_argument("--table", type=Path, help="print how the runs in this file grow")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # so that files and homes are deleted then too
    if given.table:
        print(growth.growth_table(figures.read(given.table)))
    for n_reviews in given.reviews:
        with driven(given, n_reviews) as drive:
            print(backfill(drive, given) if given.backfill else single(drive, given.out), flush=True)


@contextmanager
def driven(given: argparse.Namespace, n_reviews: int) -> Iterator[Drive]:
    """Generated files and an empty home, deleted afterwards. Raises OSError if there is too little disk."""
    check_disk(given.folder, n_reviews)
    with tempfile.TemporaryDirectory(prefix="scale-", dir=given.folder) as name:
        folder = Path(name).resolve()
        reviews = folder / "reviews"
        reviews.mkdir()
        drive = Drive(
            reviews=reviews,
            made=write_files(reviews, given.files or ceil(n_reviews / FILE_REVIEWS), n_reviews, given.layout),
            layout=given.layout,
            home=folder / "home",
            port=given.s3_port,
            conf={"factors": given.factors},
        )
        try:
            yield drive
        except subprocess.CalledProcessError:
            _keep_logs(drive.home / "logs", given.folder / f"{folder.name}-logs")
            raise


def _keep_logs(logs: Path, to: Path) -> None:
    if logs.exists():
        shutil.copytree(logs, to)
        print(f"The logs of the run that failed are kept: {to}", file=sys.stderr)


def single(drive: Drive, out: Path | None) -> str:
    """One run, and its table."""
    return growth.run_table(kept(drive.run(), out))


def backfill(drive: Drive, given: argparse.Namespace) -> str:
    """All dates in one home, where they share the parse; then each in a home of its own."""
    dates = [(END - STEP * back).date().isoformat() for back in reversed(range(given.backfill))]
    together = [kept(drive.run(as_of), given.out) for as_of in dates]
    n_singles = len(dates) if given.singles is None else given.singles
    alone = [kept(fresh(drive, as_of), given.out) for as_of in dates[len(dates) - n_singles :]]
    return growth.backfill_table(together, alone)


def fresh(drive: Drive, as_of: str) -> RunFigures:
    """A run in an empty home, which is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="alone-", dir=drive.home.parent) as name:
        return replace(drive, home=Path(name) / "home").run(as_of)


def kept(run: RunFigures, out: Path | None) -> RunFigures:
    """The same, added to a file where one is named."""
    if out is not None:
        figures.add(out, run)
    return run


if __name__ == "__main__":
    main()
