"""Training by both solvers and by irspack on one matrix: seconds, loss, Recall; and predicted against measured memory.

    python -m benchmarks.training [--interactions N] [--factors 64 128 256] [--pairs N] [--shapes raw core]

The matrices are generated: raw reviews, in which 70 % of the users have one interaction, and a 5-core. The reference is
`implicit` with one BLAS thread, which is what makes it fastest. All get the same matrix, factors and sweeps. The loss
is that of the item factors with the best user factors, over a sample of users, so it does not depend on the solver.
Recall@10 is over held-out interactions of a sample of users.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from include.recommender.config import TrainConfig
from include.recommender.evaluation.evaluate import recall_of
from include.recommender.models.als.loss import Sides, loss_of
from include.recommender.models.als.reference import user_factors
from include.recommender.models.als.taste import Als
from include.recommender.models.als.training import fit_als
from include.recommender.models.histories import Histories
from include.recommender.models.memory import MatrixSize, needed_bytes
from include.recommender.models.ranking import recommend_all
from include.recommender.models.whitening import Factors

from .held import HeldOut
from .irspack_fit import fit_irspack
from .shop import CORE, RAW, draw

SHAPES = {"raw": RAW, "core": CORE}
K, SEED = 10, 7
LOSS_USERS = 20_000


@dataclass(frozen=True)
class Fitted:
    """A fit: wall and CPU seconds, and item factors."""

    wall_s: float
    cpu_s: float
    factors: Factors


def by_irspack(matrix: sparse.csr_matrix, config: TrainConfig) -> Factors:
    """A fit by irspack."""
    return fit_irspack(
        matrix, factors=config.factors, regularization=config.regularization, iterations=config.iterations
    )


def by(solver: str) -> Callable[[sparse.csr_matrix, TrainConfig], Factors]:
    """A fit by one of this project's solvers."""

    def fit(matrix: sparse.csr_matrix, config: TrainConfig) -> Factors:
        return fit_als(matrix, TrainConfig(factors=config.factors, iterations=config.iterations, solver=solver))[0]

    return fit


FITS = {"implicit": by("implicit"), "irspack": by_irspack, "whitened": by("whitened")}


def timed(fit: Callable[[sparse.csr_matrix, TrainConfig], Factors], held: HeldOut, config: TrainConfig) -> Fitted:
    """One fit."""
    wall, cpu = time.perf_counter(), time.process_time()
    with threadpool_limits(1, "blas"):
        factors = fit(held.train, config)
    return Fitted(time.perf_counter() - wall, time.process_time() - cpu, factors)


def loss(factors: Factors, held: HeldOut, config: TrainConfig) -> float:
    """See above."""
    n_users = held.train.shape[0]
    sample = held.train[np.sort(np.random.default_rng(SEED).choice(n_users, min(n_users, LOSS_USERS), replace=False))]
    users = user_factors(sample, factors, config.regularization)
    sides = Sides.of(users, factors)
    return loss_of(sample, sides, config.regularization, n_users)


def recall(factors: Factors, held: HeldOut, config: TrainConfig) -> float:
    """Recall@K of the judged users."""
    als, seen = Als.of(factors, config.regularization), Histories.of(held.train).take(held.task.rows)
    return float(recall_of(recommend_all(als, seen, seen, K), held.task, K).mean())


def compare(name: str, held: HeldOut, config: TrainConfig, pairs: int) -> None:
    """A row for each."""
    found: dict[str, list[Fitted]] = {each: [] for each in FITS}
    for _ in range(pairs):
        for each, fit in FITS.items():
            found[each].append(timed(fit, held, config))
    own = {each: min(fits, key=lambda fit: fit.cpu_s) for each, fits in found.items()}
    for each, best in own.items():
        wall, cpu = own["implicit"].wall_s / best.wall_s, own["implicit"].cpu_s / best.cpu_s
        print(
            f"{name:6}{config.factors:>8}  {each:10}{best.wall_s:>9.1f}{best.cpu_s:>9.1f}{wall:>10.1f}{cpu:>9.1f}"
            f"{loss(best.factors, held, config):>12.6f}{recall(best.factors, held, config):>11.4f}",
            flush=True,
        )


def peak_of_fit(path: Path, config: TrainConfig) -> int:
    """Peak bytes of a fit and its matrix above an idle process, measured in this process (Linux)."""
    fit_als(sparse.csr_matrix(np.eye(50, 20, dtype=np.float32) * 2), config)  # what libraries allocate once
    idle = _status("VmRSS")
    matrix = sparse.csr_matrix(sparse.load_npz(path))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    fit_als(matrix, config)
    return _status("VmHWM") - idle


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def measure_memory(matrix: sparse.csr_matrix, config: TrainConfig) -> int:
    """`peak_of_fit` in a fresh process."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "matrix.npz"
        sparse.save_npz(path, matrix, compressed=False)
        command = [sys.executable, "-m", "benchmarks.training", "--peak-of", str(path)]
        command += ["--factors", str(config.factors), "--solver", config.solver]
        root = Path(__file__).parents[1]
        return int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


def print_memory(name: str, matrix: sparse.csr_matrix, config: TrainConfig) -> None:
    """Predicted and measured, in a row."""
    predicted, measured = needed_bytes(MatrixSize.of(matrix), config), measure_memory(matrix, config)
    print(
        f"{name:6}{config.factors:>8}  {config.solver:10}{predicted / 1e6:>14.0f}{measured / 1e6:>13.0f}"
        f"{predicted / measured:>8.2f}",
        flush=True,
    )


def main() -> None:
    """Print the table of fits, then that of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=2_000_000, help="default: %(default)s")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="default: both")
    parser.add_argument("--factors", type=int, nargs="+", default=[64, 128, 256], help="default: 64 128 256")
    parser.add_argument("--iterations", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--pairs", type=int, default=2, help="fits of each, in turn; the best counts (%(default)s)")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--solver", default="whitened", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak_of:
        print(peak_of_fit(given.peak_of, TrainConfig(factors=given.factors[0], iterations=2, solver=given.solver)))
        return
    held = {name: HeldOut.of(draw(given.interactions, SEED, SHAPES[name]), SEED) for name in given.shapes}
    fit_als(held[given.shapes[0]].train[:1_000], TrainConfig(iterations=1))  # loads the kernels
    for name, each in held.items():
        print(f"{name}: {each.train.shape[0]:,} users x {each.train.shape[1]:,} items, {each.train.nnz:,} interactions")
    print(f"{given.iterations} sweeps; the ratios are those of implicit\n")
    print(f"{'shape':6}{'factors':>8}  {'solver':10}{'wall s':>9}{'CPU s':>9}{'x wall':>10}{'x CPU':>9}", end="")
    print(f"{'loss':>12}{'Recall@10':>11}")
    for name, each in held.items():
        for factors in given.factors:
            compare(name, each, TrainConfig(factors=factors, iterations=given.iterations), given.pairs)
    if Path("/proc/self/clear_refs").exists():
        print(f"\n{'shape':6}{'factors':>8}  {'solver':10}{'predicted MB':>14}{'measured MB':>13}{'ratio':>8}")
        for name, each in held.items():
            for solver in ("whitened", "implicit"):
                for factors in (given.factors[0], given.factors[-1]):
                    print_memory(name, each.train, TrainConfig(factors=factors, solver=solver))


if __name__ == "__main__":
    main()
