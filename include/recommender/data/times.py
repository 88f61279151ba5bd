"""Statistics of review times that a few outliers do not change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from .counts import Ends
from .numerals import EARLIEST_S, LATEST_S

DAY_S = 86_400
HANDFUL, ONE_IN = 5, 1000
_FIRST_DAY, _END_DAY = EARLIEST_S // DAY_S, LATEST_S // DAY_S

Times = np.ndarray[Any, np.dtype[np.int64]]


def few(n: int) -> int:
    """Number of `n` reviews that may be outliers, or appear or vanish, without an effect: 0.1 %, at least a handful."""
    return max(HANDFUL, n // ONE_IN)


class Days:
    """Reviews of each day from 1994 to 2099, int64, shape (n_days,)."""

    def __init__(self) -> None:
        self._counts = np.zeros(_END_DAY - _FIRST_DAY, np.int64)

    def add(self, times: Times) -> None:
        """Count some reviews; times in seconds since 1970 UTC."""
        self._counts += np.bincount(times // DAY_S - _FIRST_DAY, minlength=len(self._counts))

    def since(self, n: int) -> int:
        """The beginning of the last day that has, with those after it, `n` reviews or all; seconds since 1970 UTC."""
        later = np.cumsum(self._counts[::-1])
        place = int(np.searchsorted(later, min(n, int(later[-1]))))
        return (_END_DAY - 1 - place) * DAY_S

    def years(self) -> dict[str, int]:
        """Reviews of each year that has any."""
        days = np.flatnonzero(self._counts)
        year = ((days + _FIRST_DAY).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)) + 1970
        found, at = np.unique(year, return_inverse=True)
        sums = np.zeros(len(found), np.int64)
        np.add.at(sums, at, self._counts[days])
        return {str(name): int(n) for name, n in zip(found, sums, strict=True)}

    def ends(self) -> Ends:
        """First and last day (the second at which each begins) without the `few` outermost reviews, and without three
        times as many (deep). None if there are too few reviews.

        If at most `few` reviews come or go, the first day stays on or before the first deep day of before; the last day
        likewise on or after the last deep one.
        """
        n = few(int(self._counts.sum()))
        return Ends(
            first_s=_seconds(_reached(self._counts, n)),
            last_s=_seconds(_reached(self._counts[::-1], n), backwards=True),
            deep_first_s=_seconds(_reached(self._counts, 3 * n)),
            deep_last_s=_seconds(_reached(self._counts[::-1], 3 * n), backwards=True),
        )


def _reached(counts: Times, skip: int) -> int | None:
    """The position of the review after the first `skip`; None if there are no more."""
    totals = np.cumsum(counts)
    return int(np.searchsorted(totals, skip, side="right")) if totals[-1] > skip else None


def _seconds(position: int | None, backwards: bool = False) -> int | None:
    if position is None:
        return None
    return (_END_DAY - 1 - position if backwards else _FIRST_DAY + position) * DAY_S


# The newest reviews are odd where such a gap parts them from all others: a year, and many times the usual distance.
ODD_GAP_S, ODD_GAPS = 365 * DAY_S, 20


def n_deciding(n: int) -> int:
    """How many of the newest of `n` reviews decide which of them are outliers."""
    return 3 * (n // ONE_IN) + 1


def plausible_end(times: Times, of: int | None = None) -> int:
    """Return the second after the newest review, without a few outliers (wrong clocks or units).

    Otherwise one such review would date the model, and all others would count as years old. Only the newest 0.1 % can
    be outliers, and none of fewer than 1,000 reviews: so few do not show what is usual.

    Parameters
    ----------
    times : seconds since 1970 UTC, in any order
    of : how many reviews there are, of which `times` are the newest `n_deciding(of)` or more; None: all of them

    Returns
    -------
    seconds since 1970 UTC; 0 if there is no review
    """
    n = len(times)
    if not n:
        return 0
    most = (n if of is None else of) // ONE_IN
    if not most:
        return int(times.max()) + 1
    newest = np.sort(np.partition(times, n - 3 * most - 1)[n - 3 * most - 1 :])
    # What 2 * most reviews take, just before those that may be odd.
    usual = int(newest[2 * most] - newest[0]) // 2
    tail = newest[2 * most :]
    odd = np.flatnonzero(np.diff(tail) > max(ODD_GAP_S, ODD_GAPS * usual))
    return int(tail[odd[0]] if len(odd) else tail[-1]) + 1


def day(seconds: float) -> str:
    """The date of an instant."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
