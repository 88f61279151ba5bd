"""Scores of histories by item factors of ALS (Hu, Koren, Volinsky, 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..histories import Histories, Ints
from ..protocol import Rows, Scores
from ..whitening import TINY, Doubles, Factors, Grid, Whitened, suffix_max
from .fold_in import fold_in

SLACK = 2.0**-20
_NOTHING = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True)
class Als:
    """Taste: the score of an item for a history is the inner product of the folded-in history and the item."""

    whitened: Whitened

    @classmethod
    def of(cls, item_factors: Factors, regularization: float, weights: Scores | None = None) -> Als:
        """The model of item factors, float32, shape (n_items, n_factors); weights : see `Whitened.of_factors`."""
        return cls(Whitened.of_factors(item_factors, regularization, weights))

    def score(self, histories: Histories) -> Scores:
        """Inner products, float32, shape (len(histories), n_items); 0 for an empty history."""
        return self.whitened.scores(fold_in(histories, self.whitened))

    def scoring(self, histories: Histories) -> AlsScoring:
        """What is computed once for some histories."""
        return AlsScoring(self.whitened, fold_in(histories, self.whitened))


@dataclass(frozen=True)
class AlsScoring:
    """Tastes of some users, float64, shape (n, n_factors), on the grid of `on_grid`, and the items that they meet."""

    grid: Grid
    tastes: Doubles

    @property
    def apart(self) -> tuple[Rows, Ints, Scores]:
        """See `Scoring`."""
        return _NOTHING, _NOTHING, np.zeros(0, dtype=np.float32)

    def upper(self, start: int, out: Scores) -> None:
        """See `Scoring`."""
        self.grid.upper(self.short_tastes, self.errors, out, start)

    @cached_property
    def short_tastes(self) -> Factors:
        """The tastes as float32, which keeps them exactly."""
        return self.tastes.astype(np.float32)

    @cached_property
    def errors(self) -> Scores:
        """See `Grid.errors`."""
        return self.grid.errors(self.tastes)

    @property
    def order(self) -> Ints:
        """See `Scoring`."""
        return self.grid.order

    @property
    def place(self) -> Ints:
        """See `Scoring`."""
        return self.grid.place

    def limits(self) -> Doubles:
        """See `Scoring`: |x~| |y~| at most (Cauchy-Schwarz)."""
        return self.reach[:, None] * suffix_max(self.grid.lengths)

    @property
    def reach(self) -> Doubles:
        """|x~|, a little rounded up, float64, shape (n,)."""
        found: Doubles = np.sqrt(np.einsum("ij,ij->i", self.tastes, self.tastes)) * (1 + 1e-6)
        return found

    def exact(self, rows: Rows, items: Ints) -> Scores:
        """See `Scoring`."""
        return self.grid.scores_of(self.tastes, rows, items)

    def follows(self, rows: Rows, leaders: Rows, floors: Doubles) -> Doubles:
        """See `Scoring`: with x = r x_l + d, x . y is r (x_l . y) + d . y, and |d . y| is at most |d| |y|.

        SLACK covers the roundings of both scores to float32, and those of this function.
        """
        own, leading = self.tastes[rows], self.tastes[leaders]
        square = np.einsum("ij,ij->i", leading, leading)
        ratio = np.einsum("ij,ij->i", own, leading) / np.where(square > 0, square, np.nan)
        apart = own - ratio[:, None] * leading
        away = np.sqrt(np.einsum("ij,ij->i", apart, apart)) * self.grid.longest
        limit = ratio * (floors + np.abs(floors) * SLACK) + away * (1 + SLACK)
        found: Doubles = np.where(ratio > 0, limit + np.abs(limit) * SLACK + TINY, np.inf)
        return found
