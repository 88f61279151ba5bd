"""The memory that a version takes once it is loaded, counted from its files."""

from __future__ import annotations

from pathlib import Path

from ..models.memory import require_memory
from ..storage.arrays import table_size

# Factors, their whitened vectors, and one copy while these are put in order.
FACTOR_COPIES = 3
# Multipliers of the item prior, float32, and what they are computed from, float64 (`ItemPrior.of`).
ITEM_BYTES = 300
# Confidences, float32, and the terms that they are computed from, float64.
INTERACTION_BYTES = 36
ADVICE = "Use a larger machine, or retrain with fewer factors or higher minimum counts."


def version_bytes(directory: Path) -> int:
    """Peak memory of loading a version's files and using them, in bytes; missing files count as empty.

    Similarities count once: they are used as they are read, and their check looks at few entries at once.
    """
    factors = _size(directory / "published_item_factors.npy")
    items = _size(directory / "published_prior.npy") // 8
    seen = [_size(path) for path in sorted(directory.glob("seen_*.npy"))]
    interactions = _size(directory / "seen_indices.npy") // 4
    similar = sum(_size(path) for path in sorted(directory.glob("published_similar_*.npy")))
    ids = sum(_ids_bytes(directory / name) for name in ("published_items.parquet", "seen_users.parquet"))
    return FACTOR_COPIES * factors + ITEM_BYTES * items + similar + sum(seen) + INTERACTION_BYTES * interactions + ids


def check_version_memory(directory: Path, working_bytes: int = 0) -> None:
    """Raise ConfigError if a version does not fit into the free memory.

    Parameters
    ----------
    working_bytes : what the work on it needs besides
    """
    needed = version_bytes(directory)
    counted = f"The version {directory.name} ({needed / 1e9:.2f} GB) and the lists ({working_bytes / 1e9:.2f} GB)"
    require_memory(needed + working_bytes, counted, ADVICE)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _ids_bytes(path: Path) -> int:
    """Ids with their offsets, and once more while their parts are joined."""
    rows, unpacked = table_size(path) if path.exists() else (0, 0)
    return 2 * (unpacked + 8 * rows)
