"""Compile what numba compiles, once: `make setup`. Later processes read the machine code from beside the source.

python -m local.compiling
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from include.recommender.config import ParseConfig
from include.recommender.data.parsing import parse_files

REVIEW = {"overall": 5.0, "verified": True, "reviewerID": "A1", "asin": "B1", "unixReviewTime": 1_400_000_000}


def main() -> None:
    """Import the kernels that compile when they are defined, and parse a line with those that compile when called."""
    started = time.monotonic()
    print("Compiling the loops of parsing, training and ranking: about a minute, once ...", flush=True)
    from include.recommender.models import prior_kernels  # noqa: F401
    from include.recommender.models.als import kernels  # noqa: F401
    from include.recommender.models.knn import ease_kernels  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.json"
        path.write_text(json.dumps(REVIEW) + "\n")
        parse_files([(path.name, path)], Path(folder), ParseConfig())
    print(f"  {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
