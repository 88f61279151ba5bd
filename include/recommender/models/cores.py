"""The cores of this process."""

from __future__ import annotations

import os


def n_cores() -> int:
    """Cores that this process may use; macOS has no affinity and no containers that would limit them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
