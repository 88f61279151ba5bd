"""Counts of lines and reviews: a parse is checked by them, and snapshots are compared by them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ..config import ParseConfig
from ..errors import DataError
from .counts import ParseCounts
from .decoding import Parsed
from .formats import likeness
from .layouts import UNKNOWN, UNVERIFIED, VERIFIED
from .times import Days

N_COMMONEST = 5
N_FILES = 3
LAYOUT = "Expected one JSON object a line, in the 2014, 2018 or 2023 layout of the Amazon reviews."


@dataclass(kw_only=True)
class Funnel:
    """n_lines = n_blank + n_bad + n_reviews. `first_s` and `last_s` bound the times; seconds since 1970 UTC.

    layout_files : the first files with each layout
    """

    n_lines: int = 0
    n_blank: int = 0
    n_reviews: int = 0
    n_bad: int = 0
    first_s: int | None = None
    last_s: int | None = None
    layouts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    ratings: Counter[float] = field(default_factory=Counter)
    verified: Counter[int] = field(default_factory=Counter)
    days: Days = field(default_factory=Days)
    layout_files: dict[str, list[str]] = field(default_factory=dict)

    def add_lines(self, parsed: Parsed, name: str = "") -> None:
        """Add line counts; the name of the file is kept, if it has one."""
        self.n_lines += parsed.n_lines
        self.n_blank += parsed.n_blank
        self.n_reviews += parsed.rows.num_rows
        self.n_bad += len(parsed.bad)
        self.layouts.update(parsed.layouts)
        self.reasons.update(bad.reason for bad in parsed.bad)
        for layout in parsed.layouts:
            self._note_file(layout, name)

    def _note_file(self, layout: str, name: str) -> None:
        names = self.layout_files.setdefault(layout, [])
        if name and name not in names and len(names) < N_FILES:
            names.append(name)

    def add_values(self, rows: pa.RecordBatch) -> None:
        """Count the values of some reviews, at least one."""
        times = rows.column("time").to_numpy()
        first, last = int(times.min()), int(times.max())
        self.first_s = first if self.first_s is None else min(first, self.first_s)
        self.last_s = last if self.last_s is None else max(last, self.last_s)
        self.days.add(times)
        # Ratings come in halves; others are counted with the nearest half, so that the histogram stays small.
        halves = np.rint(rows.column("rating").to_numpy() * 2).astype(np.int64)
        self.ratings.update({half / 2: int(n) for half, n in enumerate(np.bincount(halves)) if n})
        mix = np.bincount(rows.column("verified").to_numpy() - UNKNOWN)
        self.verified.update({code + UNKNOWN: int(n) for code, n in enumerate(mix) if n})

    def add(self, other: Funnel) -> None:
        """Add the line counts of one file."""
        self.n_lines += other.n_lines
        self.n_blank += other.n_blank
        self.n_reviews += other.n_reviews
        self.n_bad += other.n_bad
        self.layouts.update(other.layouts)
        self.reasons.update(other.reasons)
        for layout, names in other.layout_files.items():
            for name in names:
                self._note_file(layout, name)

    def check_file(self, name: str, head: bytes) -> None:
        """Refuse a file that has lines and no usable review; `head` is its beginning.

        Raises
        ------
        DataError
            The message says what the file looks like.
        """
        if self.n_filled and not self.n_reviews:
            raise DataError(f"{name}: not one usable review ({self.commonest}). {likeness(head)} {LAYOUT}")

    @property
    def n_filled(self) -> int:
        """Lines that are not blank."""
        return self.n_lines - self.n_blank

    @property
    def bad_share(self) -> float:
        """Bad lines among lines that are not blank."""
        return self.n_bad / max(1, self.n_filled)

    @property
    def commonest(self) -> str:
        """Return the most frequent reasons with their counts."""
        common = self.reasons.most_common(N_COMMONEST)
        return "; ".join(f"{reason} ({count:,})" for reason, count in common) or "no lines at all"

    def counts(self, **others: Any) -> ParseCounts:
        """Return the counts for the manifest; there must be at least one review.

        Parameters
        ----------
        others : the fields that the lines do not give
        """
        assert self.first_s is not None
        assert self.last_s is not None
        return ParseCounts(
            lines=self.n_lines,
            blank=self.n_blank,
            reviews=self.n_reviews,
            bad=self.n_bad,
            first_s=self.first_s,
            last_s=self.last_s,
            ends=self.days.ends(),
            years=self.days.years(),
            verified=self.verified[VERIFIED],
            unverified=self.verified[UNVERIFIED],
            verified_unknown=self.verified[UNKNOWN],
            ratings={f"{rating:.1f}": n for rating, n in sorted(self.ratings.items())},
            layouts=dict(sorted(self.layouts.items())),
            layout_files=dict(sorted(self.layout_files.items())),
            reasons=dict(self.reasons.most_common()),
            **others,
        )

    def check(self, names: str, config: ParseConfig) -> None:
        """Refuse a parse with too many bad lines or without a review.

        Raises
        ------
        DataError
            The share of bad lines is above `max_bad_share`, or there is no review.
        """
        if self.n_bad and self.bad_share > config.max_bad_share:
            raise DataError(
                f"{names}: {self.n_bad:,} of {self.n_filled:,} lines ({self.bad_share:.2%}) are unusable, more than "
                f"max_bad_share = {config.max_bad_share:.2%}. Commonest reasons: {self.commonest}. "
                "Fix the files, or raise max_bad_share if you expect such lines."
            )
        if not self.n_reviews:
            raise DataError(f"{names}: not one usable review ({self.commonest}). {LAYOUT}")
