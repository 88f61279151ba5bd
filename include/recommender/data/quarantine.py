"""The bad lines of a parse: where each is, why, and how it begins. Bounded, so that a bad file fills no disk."""

from __future__ import annotations

import json
import logging
from collections import Counter

import pyarrow as pa

from .decoding import BadLine

log = logging.getLogger(__name__)

# There are some dozens of reasons.
KEPT_A_REASON = 10_000


class Quarantine:
    """Collects bad lines, and keeps the first of each reason."""

    def __init__(self, out: pa.NativeFile) -> None:
        self._out = out
        self._seen: Counter[str] = Counter()

    def add(self, name: str, bad: BadLine) -> None:
        """A bad line of a file."""
        self._seen[bad.reason] += 1
        if self._seen[bad.reason] <= KEPT_A_REASON:
            row = {"file": name, "line": bad.line, "reason": bad.reason, "excerpt": bad.excerpt}
            self._out.write(json.dumps(row).encode() + b"\n")
        elif self._seen[bad.reason] == KEPT_A_REASON + 1:
            log.warning(
                "%s: the quarantine keeps %s such lines, and only counts more", bad.reason, f"{KEPT_A_REASON:,}"
            )

    @property
    def n_kept(self) -> int:
        """Lines that were written."""
        return sum(min(n, KEPT_A_REASON) for n in self._seen.values())
