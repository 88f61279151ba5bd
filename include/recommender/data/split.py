"""as_of, de-duplication and the time split: what a run trains on, and what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ..errors import DataError
from ..models.histories import Ints
from .layouts import UNKNOWN
from .reviews import Reviews

Times = np.ndarray[Any, np.dtype[np.int64]]
Places = np.ndarray[Any, np.dtype[np.integer[Any]]]


# Values at once, where numpy would widen all 32-bit positions to 64 bits before it uses them.
BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The reviews before an instant, by (user, item).

    user, item : int32, shape (n_pairs,), sorted by user, item
    order : int32, shape (n_known,), rows of the reviews, sorted by user, item; those of one pair ascend
    starts : int32, shape (n_pairs,), where in `order` each pair begins
    time, rating, verified : the columns of the reviews
    """

    user: Ints
    item: Ints
    order: Ints
    starts: Ints
    time: Times
    rating: np.ndarray[Any, np.dtype[np.float32]]
    verified: np.ndarray[Any, np.dtype[np.int8]]

    @classmethod
    def before(cls, reviews: Reviews, as_of_s: int) -> Pairs:
        """The pairs of the reviews before `as_of_s` (seconds)."""
        user, item, order = _sorted(reviews, np.flatnonzero(reviews.time < as_of_s).astype(np.int32))
        first = changes(user)
        first |= changes(item)
        return cls(
            user=user[first],
            item=item[first],
            order=order,
            starts=np.flatnonzero(first).astype(np.int32),
            time=reviews.time,
            rating=reviews.rating,
            verified=reviews.verified,
        )

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def first_s(self) -> Times:
        """Time of the earliest review of each pair, int64 seconds, shape (n_pairs,)."""
        found: Times = _gathered(self.time, self.order[self.starts])
        if self._repeats.pairs.size:
            found[self._repeats.pairs] = np.minimum.reduceat(self.time[self._repeats.rows], self._repeats.starts)
        return found

    @cached_property
    def _repeats(self) -> _Repeats:
        lengths = np.diff(self.starts, append=np.int32(len(self.order)))
        more = lengths > 1
        within = lengths[more]
        starts = np.cumsum(within) - within
        return _Repeats(np.flatnonzero(more), self.order[np.repeat(more, lengths)], starts, within)

    def interactions(self, chosen: Ints, before_s: int) -> Reviews:
        """One interaction for some pairs, sorted by user, item.

        Time and rating are those of the earliest review (of two at one instant, the lower rating). It is verified if
        any review before `before_s` was: what is known later must not change it.

        Parameters
        ----------
        chosen : ascending positions of pairs whose earliest review lies before `before_s`
        """
        rows = _gathered(self.order, _gathered(self.starts, chosen))
        return Reviews(
            user=_gathered(self.user, chosen),
            item=_gathered(self.item, chosen),
            time=_gathered(self.first_s, chosen),
            rating=self._with_repeats(self.rating, rows, chosen, self._lowest_ratings),
            verified=self._with_repeats(self.verified, rows, chosen, lambda: self._any_verified(before_s)),
        )

    def _with_repeats(self, column: Any, rows: Ints, chosen: Places, of_repeats: Any) -> Any:
        """A column at the first row of each chosen pair, and what `of_repeats` returns where there are more rows."""
        found, pairs = _gathered(column, rows), self._repeats.pairs
        if pairs.size:
            places = np.searchsorted(chosen, pairs)
            places[places == len(chosen)] = 0
            there = chosen[places] == pairs
            found[places[there]] = of_repeats()[there]
        return found

    def _lowest_ratings(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Lowest rating at the earliest instant of each pair with several reviews."""
        each = self._repeats
        earliest = self.time[each.rows] == np.repeat(self.first_s[each.pairs], each.lengths)
        ratings = np.where(earliest, self.rating[each.rows], np.float32(np.inf))
        found: np.ndarray[Any, np.dtype[np.float32]] = np.fmin.reduceat(ratings, each.starts)
        return found

    def _any_verified(self, before_s: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        """Largest `verified` of each pair with several reviews, of those before an instant."""
        each = self._repeats
        known = self.time[each.rows] < before_s
        verified = np.where(known, self.verified[each.rows], np.int8(UNKNOWN))
        found: np.ndarray[Any, np.dtype[np.int8]] = np.maximum.reduceat(verified, each.starts)
        return found


@dataclass(frozen=True)
class _Repeats:
    """The pairs with several reviews: their positions, rows of reviews, and where in `rows` each begins."""

    pairs: Places
    rows: Ints
    starts: Places
    lengths: Places


def changes(values: Places) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each value differs from the one before it; the first does."""
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def _gathered(column: Any, rows: Places) -> Any:
    """The values of a column at some rows."""
    found = np.empty(len(rows), column.dtype)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        found[part] = column[rows[part]]
    return found


def _sorted(reviews: Reviews, rows: Ints) -> tuple[Ints, Ints, Ints]:
    """User, item and row of ascending rows, sorted by user, item; rows of one pair stay ascending.

    A radix sort of two digits, first the item, then the user: linear, whatever the order and the lengths of the
    histories. Each digit is the transpose of a sparse matrix, for which scipy counts, in compiled code.
    """
    n = len(rows)
    user, item = _gathered(reviews.user, rows), _gathered(reviews.item, rows)
    n_users, n_items = _n_codes(user), _n_codes(item)
    # One entry a row of the matrix, in the column of its item; by columns, the row numbers are sorted by item.
    by_item = sparse.csr_array((user, item, np.arange(n + 1, dtype=np.int32)), shape=(n, n_items)).tocsc()
    del user, item
    entries = (rows[by_item.indices], by_item.data, by_item.indptr)
    del by_item
    by_user = sparse.csr_array(entries, shape=(n_items, n_users)).tocsc()
    return np.repeat(np.arange(n_users, dtype=np.int32), np.diff(by_user.indptr)), by_user.indices, by_user.data


def _n_codes(codes: Ints) -> int:
    """How many codes there may be. Raises ValueError over a negative one: compiled code uses them as offsets."""
    if codes.min(initial=0) < 0:
        raise ValueError(f"The code {codes.min()} is negative.")
    return int(codes.max(initial=-1)) + 1


def split_time(times: Times, holdout_fraction: float) -> int:
    """The instant from which on the newest share of the interactions is held out; all of one instant are.

    With `holdout_fraction` 0 everything is train, and the split time is one second after the newest interaction. It is
    not as_of: ages count back from the split time, and as_of may be years after the data ends.

    Parameters
    ----------
    times : seconds, in any order

    Raises
    ------
    DataError
        The holdout or the train part would be empty.
    """
    n = len(times)
    if n == 0:
        raise DataError("No interaction lies before as_of: choose a later as_of, or a snapshot with older reviews.")
    if holdout_fraction == 0:
        return int(times.max()) + 1
    rank = min(n - 1, round(n * (1 - holdout_fraction)))
    split_s = int(np.partition(times, rank)[rank])
    if times.min() >= split_s:
        raise DataError(
            f"The {n:,} interactions before as_of leave no train part at holdout_fraction={holdout_fraction:g}: they "
            "lie at too few instants. More history is needed, or a smaller holdout_fraction."
        )
    return split_s
