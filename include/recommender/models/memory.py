"""The memory that a fit needs, and the free memory."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from ..config import TrainConfig
from ..errors import ConfigError
from .cores import n_cores

log = logging.getLogger(__name__)

# Of the own solver, on each core: vectors of one row that are copied together. What is gathered once is read in
# sequence in every step.
BUFFER_BYTES = 8 << 20
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class MatrixSize:
    """Size of a confidence matrix.

    n_several, several_nnz : users with two interactions or more, and their interactions
    """

    n_users: int
    n_items: int
    nnz: int
    n_several: int
    several_nnz: int

    @classmethod
    def of(cls, matrix: sparse.csr_matrix) -> MatrixSize:
        """That of a matrix, float32 CSR."""
        sizes = np.diff(matrix.indptr)
        single, empty = int((sizes == 1).sum()), int((sizes == 0).sum())
        n_users, n_items = matrix.shape
        return cls(
            n_users=n_users,
            n_items=n_items,
            nnz=matrix.nnz,
            n_several=n_users - single - empty,
            several_nnz=matrix.nnz - single,
        )

    def times(self, factor: float) -> MatrixSize:
        """So many times as large."""
        return MatrixSize(**{name: round(factor * each) for name, each in asdict(self).items()})

    @classmethod
    def counted(cls, n_users: int, n_items: int, nnz: int, n_single: int = 0) -> MatrixSize:
        """From counts, each user with an interaction; n_single : users with one. 0 needs most."""
        n_several, several_nnz = n_users - n_single, nnz - n_single
        return cls(n_users=n_users, n_items=n_items, nnz=nnz, n_several=n_several, several_nnz=several_nnz)


def needed_bytes(size: MatrixSize, config: TrainConfig, warm: bool = False) -> int:
    """Peak memory of a fit in bytes, the matrix included; see `entry_bytes` and `factor_bytes`."""
    return entry_bytes(size, config) + factor_bytes(size, config, warm)


def entry_bytes(size: MatrixSize, config: TrainConfig) -> int:
    """The matrix, and what a solver takes from it: 8 bytes an interaction, 4 or 8 a row.

    implicit transposes it. The own solver copies the users with several interactions, transposes that copy, and keeps 4
    bytes for each other user.
    """
    given = size.nnz * 8 + size.n_users * 4
    if config.solver == "implicit":
        return given + size.nnz * 8 + size.n_items * 4
    copied = 8 * size.several_nnz + 12 * size.n_several
    turned = 8 * size.several_nnz + 12 * size.n_items
    singles = 4 * (size.n_users - size.n_several) + 32 * size.n_items
    return given + copied + turned + singles


def factor_bytes(size: MatrixSize, config: TrainConfig, warm: bool) -> int:
    """The factors, 4 bytes a number; items of the own solver twice, as given and as trained.

    The side that implicit initializes takes twice that, for it scales a second array. Its warm start whitens items, in
    float64, while users are folded in. The own solver has a buffer a core; see `kernels`.
    """
    if config.solver != "implicit":
        return 4 * config.factors * (size.n_several + 2 * size.n_items) + n_cores() * BUFFER_BYTES
    rows = size.n_users + 3 * size.n_items if warm else max(2 * size.n_users, size.n_users + 2 * size.n_items)
    return rows * config.factors * 4


def check_memory(size: MatrixSize, config: TrainConfig, warm: bool = False) -> None:
    """Raise ConfigError if a fit needs more than the free memory."""
    needed, free = needed_bytes(size, config, warm), free_bytes()
    log.info("ALS needs about %s MB, %s MB are free", f"{needed / 1e6:,.0f}", f"{free / 1e6:,.0f}")
    if needed > free:
        entries = entry_bytes(size, config)
        raise ConfigError(
            f"factors={config.factors}: training needs about {needed / 1e9:.2f} GB, {entries / 1e9:.2f} GB for "
            f"{size.nnz:,} interactions and their transpose and {(needed - entries) / 1e9:.2f} GB for factors "
            f"({config.factors * 4} bytes each; {size.n_users:,} users, {size.n_several:,} of them with two "
            f"interactions or more, and {size.n_items:,} items), but {free / 1e9:.2f} GB are free. Take fewer factors, "
            "raise the minimum counts, or use a larger machine."
        )


def require_memory(needed: int, counted: str, advice: str) -> None:
    """Raise ConfigError if more bytes are needed than are free.

    Parameters
    ----------
    counted : the counted quantity, for the message
    advice : the fix, a sentence
    """
    free = free_bytes()
    if needed > free:
        raise ConfigError(
            f"{counted} need about {needed / 1e9:.2f} GB of memory, but {free / 1e9:.2f} GB are free (of the "
            f"machine or of this container's limit). {advice}"
        )


def free_bytes(proc: Path = PROC, cgroup: Path = CGROUP) -> int:
    """Memory that this process may still use: the available memory, or less if its control group allows less.

    Cached files of the control group count as free, for the kernel drops them first. If there is no /proc, the whole
    memory of the machine. The limits of all groups above the process count.
    """
    free = _of_machine(proc, "MemAvailable:")
    for folder, names, cached in _limited(proc, cgroup):
        try:
            limit, used = (int((folder / f"memory.{name}").read_text()) for name in names)
            free = min(free, limit - used + _table(folder / "memory.stat").get(cached, 0))
        except (OSError, ValueError):  # not this version, or its limit is the word "max"
            continue
    return free


def limit_bytes(proc: Path = PROC, cgroup: Path = CGROUP) -> int:
    """Memory that this process may use if nothing else ran: that of the machine, or the limit of its control group."""
    limit = _of_machine(proc, "MemTotal:")
    for folder, names, _ in _limited(proc, cgroup):
        with suppress(OSError, ValueError):
            limit = min(limit, int((folder / f"memory.{names[0]}").read_text()))
    return limit


def _of_machine(proc: Path, row: str) -> int:
    try:
        return _table(proc / "meminfo")[row] * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limited(proc: Path, cgroup: Path) -> list[tuple[Path, tuple[str, str], str]]:
    """The control groups of this process: folder, the files of limit and use, and the row of what is cached."""
    # Version 2 of control groups, and version 1, whose limit is a huge number where there is none.
    found = [(folder, ("max", "current"), "inactive_file") for folder in _groups(proc, cgroup)]
    return [*found, (cgroup / "memory", ("limit_in_bytes", "usage_in_bytes"), "total_inactive_file")]


def _groups(proc: Path, cgroup: Path) -> list[Path]:
    """The process's own control group of version 2, and all above it."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    if ".." in Path(own).parts:  # outside what this container sees
        own = ""
    return [cgroup / part for part in (Path(own), *Path(own).parents)]


def _table(path: Path) -> dict[str, int]:
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1}
