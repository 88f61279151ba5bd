"""Training through this project against a bare `implicit` fit of one matrix, and predicted against measured memory.

Ours adds to the bare fit: the checks, the loss and the log line of each iteration, the copy that is returned.

    python -m benchmarks.training [--interactions N] [--pairs N] ...
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.config import TrainConfig
from include.recommender.models.als.training import fit_als
from include.recommender.models.memory import MatrixSize, needed_bytes

from .generated import interactions
from .pairs import compare

LIMIT = 1.05


def bare_fit(matrix: sparse.csr_matrix, config: TrainConfig) -> None:
    """A bare fit, as in a script."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            iterations=config.iterations,
            random_state=config.seed,
        )
        model.fit(matrix, show_progress=False)


def peak_of_fit(path: Path, config: TrainConfig) -> int:
    """Peak bytes of a fit and its matrix above an idle process, measured in this process (Linux)."""
    fit_als(interactions(2_000, 200, 100), config)  # what libraries allocate once
    idle = _status("VmRSS")
    matrix = sparse.csr_matrix(sparse.load_npz(path))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    fit_als(matrix, config)
    return _status("VmHWM") - idle


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def measure_memory(matrix: sparse.csr_matrix, factors: int) -> int:
    """`peak_of_fit` in a fresh process."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "matrix.npz"
        sparse.save_npz(path, matrix, compressed=False)
        command = [sys.executable, "-m", "benchmarks.training", "--peak-of", str(path), "--factors", str(factors)]
        root = Path(__file__).parents[1]
        return int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


def main() -> None:
    """Print the ratio, then the table of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--users", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--items", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--factors", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--iterations", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--pairs", type=int, default=9, help="fits of each, in turn (default: %(default)s)")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak_of:
        print(peak_of_fit(given.peak_of, TrainConfig(factors=given.factors, iterations=2)))
        return
    matrix = interactions(given.interactions, given.users, given.items)
    config = TrainConfig(factors=given.factors, iterations=given.iterations)
    print(
        f"{matrix.nnz:,} generated interactions of {given.users:,} users and {given.items:,} items, {config.factors} "
        f"factors, {config.iterations} iterations, {given.pairs} pairs in turn"
    )
    fit_als(matrix, TrainConfig(factors=given.factors, iterations=1))
    ours, bare, ratio = compare(lambda: fit_als(matrix, config), lambda: bare_fit(matrix, config), given.pairs)
    print(f"ours {ours:.2f} s, bare implicit {bare:.2f} s, median ratio {ratio:.3f} (at most {LIMIT})")
    if Path("/proc/self/clear_refs").exists():
        _print_memory(matrix, given.factors)
    sys.exit(ratio > LIMIT)


def _print_memory(matrix: sparse.csr_matrix, factors: int) -> None:
    n_users, n_items = matrix.shape
    print(
        f"\n{'users':>10}{'items':>10}{'entries':>12}{'factors':>9}{'predicted MB':>14}{'measured MB':>13}{'ratio':>8}"
    )
    turned = matrix.T.tocsr()
    wide = interactions(3 * matrix.nnz, n_users, n_items) if matrix.nnz < np.prod(matrix.shape) / 10 else matrix
    for each, width in ((matrix, factors), (turned, factors), (matrix, 2 * factors), (wide, max(1, factors // 4))):
        predicted, measured = needed_bytes(MatrixSize.of(each), TrainConfig(factors=width)), measure_memory(each, width)
        print(
            f"{each.shape[0]:>10,}{each.shape[1]:>10,}{each.nnz:>12,}{width:>9}{predicted / 1e6:>14.1f}"
            f"{measured / 1e6:>13.1f}{predicted / measured:>8.2f}"
        )


if __name__ == "__main__":
    main()
