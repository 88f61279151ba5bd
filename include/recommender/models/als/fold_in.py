"""Fold-in: the taste of users from their histories, one exact half-step of ALS, solved for many users at once.

Users of one length are a stack of systems, each solved by itself: a user's taste does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..histories import Histories
from ..whitening import Doubles, Whitened, on_grid

Places = np.ndarray[Any, np.dtype[np.int64]]

# float64 numbers of one stack of systems, 32 MB; and the entries of one history that are added at once.
STACK_NUMBERS = 4_000_000
CHUNK_ENTRIES = 1_024


def fold_in(histories: Histories, whitened: Whitened) -> Doubles:
    """Whitened factors of users, from their histories (Hu et al. 2008, eq. 4), on the grid of `on_grid`.

    Parameters
    ----------
    histories : in the columns of the items

    Returns
    -------
    float64, shape (n, n_factors); zero for a history in which nothing is known
    """
    tastes = np.zeros((len(histories), whitened.vectors.shape[1]))
    sizes = np.diff(histories.indptr)
    single = np.flatnonzero(sizes == 1)
    tastes[single] = _of_one(histories, single, whitened)
    widths = _widths(sizes)
    for width in np.unique(widths[sizes > 1]).tolist():
        for rows in _stacks(np.flatnonzero(widths == width), width, tastes.shape[1]):
            solve = _small if width <= tastes.shape[1] else _large
            tastes[rows] = solve(histories, rows, width, whitened)
    return on_grid(tastes)


def _of_one(histories: Histories, rows: Places, whitened: Whitened) -> Doubles:
    """x~ = c / (1 + (c - 1) |y~|^2) y~, with numerator and denominator divided by c."""
    at = histories.indptr[rows]
    item, doubt = histories.items[at], 1.0 / histories.confidence[at].astype(np.float64)
    known = whitened.of(item)
    weight = 1.0 / (doubt + (1.0 - doubt) * np.einsum("ij,ij->i", known, known))
    found: Doubles = weight[:, None] * known
    return found


def _small(histories: Histories, rows: Places, width: int, whitened: Whitened) -> Doubles:
    """Systems of the size of the history: x~ = S'w with (I + D S S') w = c, the push-through identity.

    Each row is divided by c, so that it stays well scaled at any alpha.
    """
    known, confidence = _entries(histories, rows, 0, width, whitened)
    doubt = 1.0 / confidence
    system = (1.0 - doubt)[:, :, None] * (known @ known.transpose(0, 2, 1))
    diagonal = np.arange(width)
    system[:, diagonal, diagonal] += doubt
    weights = np.linalg.solve(system, np.ones((*confidence.shape, 1)))
    found: Doubles = (known.transpose(0, 2, 1) @ weights)[:, :, 0]
    return found


def _large(histories: Histories, rows: Places, width: int, whitened: Whitened) -> Doubles:
    """Systems of the size of the factors: (I + S'DS) x~ = S'c."""
    n_factors = whitened.vectors.shape[1]
    system: Doubles = np.tile(np.eye(n_factors), (len(rows), 1, 1))
    right: Doubles = np.zeros((len(rows), n_factors, 1))
    for start in range(0, width, CHUNK_ENTRIES):
        known, confidence = _entries(histories, rows, start, min(width, start + CHUNK_ENTRIES), whitened)
        turned = known.transpose(0, 2, 1)
        system += turned @ (known * (confidence - 1.0)[:, :, None])
        right += turned @ confidence[:, :, None]
    return np.asarray(np.linalg.solve(system, right)[:, :, 0], dtype=np.float64)


def _entries(histories: Histories, rows: Places, start: int, stop: int, whitened: Whitened) -> tuple[Doubles, Doubles]:
    """Items, shape (n, width, n_factors), and confidences, shape (n, width), from one place of each history to another.

    Beyond its end a history goes on with a zero item of confidence 1, which adds nothing.
    """
    at = histories.indptr[rows][:, None] + np.arange(start, stop)
    inside = at < histories.indptr[rows + 1][:, None]
    at = np.where(inside, at, 0)
    known = whitened.of(histories.items[at])
    known[~inside] = 0.0
    return known, np.where(inside, histories.confidence[at], 1.0).astype(np.float64)


def _widths(sizes: Places) -> Places:
    """Lengths rounded up so that each octave has four: few stacks, and at most a quarter of padding."""
    octave = np.frexp(np.maximum(sizes, 1))[1].astype(np.int64) - 1
    step = np.int64(1) << np.maximum(octave - 2, 0)
    widths: Places = -(-sizes // step) * step
    return widths


def _stacks(rows: Places, width: int, n_factors: int) -> Iterator[Places]:
    """The users of one width, as many at a time as a stack may hold."""
    numbers = width * (n_factors + 2 * width)
    if width > n_factors:
        numbers = n_factors * (2 * n_factors + 2 * min(width, CHUNK_ENTRIES))
    step = max(1, STACK_NUMBERS // numbers)
    return (rows[start : start + step] for start in range(0, len(rows), step))
