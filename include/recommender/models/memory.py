"""The memory that a fit needs, and the free memory."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigError

log = logging.getLogger(__name__)

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def needed_bytes(shape: tuple[int, int], nnz: int, factors: int, warm: bool = False) -> int:
    """Peak memory of a fit in bytes.

    The matrix and its transpose take 8 bytes an entry each and 4 a row; factors 4 bytes a number, and those of the side
    that is initialized twice that, for implicit scales a second array. A warm start whitens its items, in float64,
    while users are folded in.
    """
    n_users, n_items = shape
    rows = n_users + 3 * n_items if warm else max(2 * n_users, n_users + 2 * n_items)
    return 2 * (nnz * 8 + (n_users + n_items) * 4) + rows * factors * 4


def check_memory(shape: tuple[int, int], nnz: int, factors: int, warm: bool = False) -> None:
    """Raise ConfigError if a fit needs more than the free memory."""
    needed, free = needed_bytes(shape, nnz, factors, warm), free_bytes()
    log.info("ALS needs about %s MB, %s MB are free", f"{needed / 1e6:,.0f}", f"{free / 1e6:,.0f}")
    if needed > free:
        entries = 2 * (nnz * 8 + sum(shape) * 4)
        raise ConfigError(
            f"factors={factors}: training needs about {needed / 1e9:.2f} GB, {entries / 1e9:.2f} GB for {nnz:,} "
            f"interactions and their transpose and {(needed - entries) / 1e9:.2f} GB for the factors of {shape[0]:,} "
            f"users and {shape[1]:,} items ({factors * 4} bytes each, one side more than once while it starts), but "
            f"{free / 1e9:.2f} GB are free. Take fewer factors, raise the minimum counts, or use a larger machine."
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
