"""The model: what the items of a history say (ALS, item-kNN, or both), times the item prior.

It is the one scoring function of evaluation, batch and online.

    taste(u, i) = x_u . y_i                                            ALS
    taste(u, i) = x_u . y_i / rms(x_u . y) + w * s_ui / rms(s_u)       ALS and item-kNN
    score(u, i) = taste(u, i) * multiplier_i                           see `ItemPrior`

s_ui is the sum of confidence times similarity over the history, and rms the root mean square over all items. So both
parts have one scale for each user, whatever the confidences and the length of the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from .als.fold_in import fold_in
from .als.taste import Als, AlsScoring
from .histories import Histories, Ints
from .knn.similarities import ARRAYS as ARRAYS_OF_KNN
from .knn.similarities import Similarities, root_mean_squares
from .prior import Flags, ItemPrior, brackets
from .protocol import Doubles, Rows, Scores
from .whitening import Whitened, on_grid, suffix_max

_OF_ITEMS, _OF_PRIOR = ("vectors", "order", "place", "back", "spectrum"), ("popularity", "multipliers")
_KNN = "knn_"
ARRAYS = _OF_ITEMS + _OF_PRIOR
# As weight of item-kNN: ALS then orders only the items that no neighbour speaks for.
KNN_ALONE = 1e6
# The roundings of a score to float32, of at most 2^-24 each, make it larger by less than this factor.
ROUNDINGS = 1 + 1e-6


@dataclass(frozen=True)
class Model:
    """ALS or its sum with item-kNN, with an item prior.

    similar : None is ALS alone
    knn_weight : of item-kNN in the sum
    """

    als: Als
    prior: ItemPrior
    similar: Similarities | None = None
    knn_weight: float = 0.0

    def score(self, histories: Histories) -> Scores:
        """Scores of all items, float32, shape (len(histories), n_items)."""
        scoring = self.scoring(histories)
        scores = self.als.whitened.scores(scoring.tastes)
        scoring.knn.add_to(scores)
        self.prior.blend(scores, scoring.sizes, scoring.unknown)
        return scores

    def scoring(self, histories: Histories) -> ModelScoring:
        """What is computed once for some histories."""
        tastes, knn = self.parts(histories)
        return ModelScoring(AlsScoring(self.als.whitened, tastes), knn, self, histories.sizes)

    def parts(self, histories: Histories) -> tuple[Doubles, KnnScores]:
        """What ALS and item-kNN say: tastes, float64, shape (n, n_factors), on a grid, and weighted scores."""
        whitened = self.als.whitened
        if self.similar is None:
            return fold_in(histories, whitened), KnnScores.none(len(histories))
        known = levelled(histories)
        tastes, found = fold_in(known, whitened), self.similar.scores(known)
        als_scale, knn_scale = _no_zeros(whitened.root_mean_squares(tastes)), _no_zeros(root_mean_squares(found))
        return on_grid(tastes / als_scale[:, None]), KnnScores.of(found, self.knn_weight / knn_scale)

    @property
    def without_prior(self) -> Model:
        """The same without the item prior; it still decides for users without known interactions."""
        ones = np.ones_like(self.prior.multipliers)
        return replace(self, prior=ItemPrior(self.prior.popularity, ones))

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """All that the model is but the weight, by name, so that processes can share it in files."""
        parts = [
            *(getattr(self.als.whitened, name) for name in _OF_ITEMS),
            *(getattr(self.prior, name) for name in _OF_PRIOR),
        ]
        found = dict(zip(ARRAYS, parts, strict=True))
        if self.similar is not None:
            found |= {_KNN + name: getattr(self.similar, name) for name in ARRAYS_OF_KNN}
        return found

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]], knn_weight: float) -> Model:
        """The model that `arrays` describes."""
        whitened = Whitened(**{name: arrays[name] for name in _OF_ITEMS})
        prior = ItemPrior(**{name: arrays[name] for name in _OF_PRIOR})
        similar = {name: arrays[_KNN + name] for name in ARRAYS_OF_KNN if _KNN + name in arrays}
        return cls(Als(whitened), prior, Similarities(**similar) if similar else None, knn_weight)

    @cached_property
    def item_lengths(self) -> Doubles:
        """|y~| of the items in their order, float64, shape (n_items,)."""
        return self.als.whitened.lengths[self.als.whitened.place]

    @cached_property
    def ordered_prior(self) -> ItemPrior:
        """The prior in the order of the vectors."""
        return self.prior.take(self.als.whitened.order)

    @cached_property
    def reach(self) -> Doubles:
        """The largest |y~| times multiplier from each chunk on, float64, shape (LONG_HISTORY, n_chunks)."""
        return suffix_max(self.als.whitened.lengths * self.ordered_prior.multipliers)

    @cached_property
    def popularity_reach(self) -> Doubles:
        """The largest popularity from each chunk on, float64, shape (n_chunks,)."""
        return suffix_max(self.ordered_prior.popularity)


def _no_zeros(scale: Doubles) -> Doubles:
    """1 for users of whom nothing is known."""
    return np.where(scale > 0, scale, 1.0)


def array_names(blended: bool) -> tuple[str, ...]:
    """The names of `Model.arrays`, of a model with item-kNN or without."""
    return ARRAYS + tuple(_KNN + name for name in ARRAYS_OF_KNN) if blended else ARRAYS


def levelled(histories: Histories) -> Histories:
    """The histories, in which a single interaction has confidence 1.

    Its confidence only scales both parts, which are brought to one scale. So users of one item have the same scores to
    the last bit, and share a search; see `sharing`.
    """
    confidence = histories.confidence.copy()
    single = histories.sizes == 1
    confidence[histories.indptr[:-1][single]] = 1.0
    return replace(histories, confidence=confidence, check=False)


@dataclass(frozen=True)
class KnnScores:
    """Weighted scores of item-kNN: those that are not 0, by user and item.

    rows, items : int, shape (n_entries,), ascending by row, then item
    values : float32, shape (n_entries,)
    sizes : int, shape (n,), entries of each user
    n_items : size of the catalogue
    """

    rows: Rows
    items: Ints
    values: Scores
    sizes: Ints
    n_items: int = 0

    @classmethod
    def none(cls, n: int) -> KnnScores:
        """Of n users for whom it says nothing."""
        ints = np.zeros(0, dtype=np.int32)
        return cls(ints, ints, np.zeros(0, dtype=np.float32), np.zeros(n, dtype=np.int32))

    @classmethod
    def of(cls, scores: sparse.csr_matrix, weights: Doubles) -> KnnScores:
        """Scores times the weight of each user, float64, shape (n,)."""
        sizes = np.diff(scores.indptr)
        rows = np.repeat(np.arange(scores.shape[0], dtype=np.int32), sizes)
        values = (scores.data * weights[rows]).astype(np.float32)
        return cls(rows, scores.indices.astype(np.int32, copy=False), values, sizes, scores.shape[1])

    def add_to(self, scores: Scores) -> None:
        """Add to scores in the order of the items."""
        scores[self.rows, self.items] += self.values

    def of_pairs(self, rows: Rows, items: Ints) -> Scores:
        """The scores of pairs of users and items, float32, shape (n_pairs,)."""
        if not len(self.items):
            return np.zeros(len(items), dtype=np.float32)
        keys, asked = self.keys, rows * np.int64(self.n_items) + items
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        found: Scores = np.where(keys[place] == asked, self.values[place], np.float32(0))
        return found

    @cached_property
    def keys(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Row and item as one number, ascending."""
        return self.rows * np.int64(self.n_items) + self.items


@dataclass(frozen=True)
class ModelScoring:
    """Tastes of some users and the model. sizes : int32, shape (n,), their known interactions."""

    of_als: AlsScoring
    knn: KnnScores
    model: Model
    sizes: Ints

    @property
    def tastes(self) -> Doubles:
        """float64, shape (n, n_factors)."""
        return self.of_als.tastes

    @cached_property
    def unknown(self) -> Flags:
        """bool, shape (n,), users of whom nothing is known."""
        return np.logical_not(self.tastes.any(axis=1) | (self.knn.sizes > 0))

    @property
    def order(self) -> Ints:
        """See `Scoring`."""
        return self.of_als.order

    @property
    def place(self) -> Ints:
        """See `Scoring`."""
        return self.of_als.place

    @cached_property
    def apart(self) -> tuple[Rows, Ints, Scores]:
        """See `Scoring`: the items that neighbours speak for. They are few, and most of the best are among them.

        The part of ALS is |x~| |y~| at most (Cauchy-Schwarz), which needs no vector. It is loose, but item-kNN is most
        of the score of these items.
        """
        rows, items = self.knn.rows, self.knn.items
        bounds = self.of_als.reach[rows] * self.model.item_lengths[items]
        bounds += self.knn.values
        bounds *= self.model.prior.multipliers[brackets(self.sizes)[rows], items]
        return rows, items, (bounds * ROUNDINGS).astype(np.float32)

    def upper(self, start: int, out: Scores) -> None:
        """See `Scoring`: rounding keeps the order, so a bound times the multiplier bounds the score."""
        self.of_als.upper(start, out)
        self.model.ordered_prior.blend(out, self.sizes, self.unknown, slice(start, start + out.shape[1]))

    def limits(self) -> Doubles:
        """See `Scoring`."""
        found: Doubles = self.of_als.reach[:, None] * self.model.reach[brackets(self.sizes)]
        found[self.unknown] = self.model.popularity_reach * (1 + 1e-6)
        return found

    def exact(self, rows: Rows, items: Ints) -> Scores:
        """See `Scoring`."""
        scores = self.of_als.exact(rows, items)
        scores += self.knn.of_pairs(rows, items)
        scores *= self.model.prior.multipliers[brackets(self.sizes[rows]), items]
        unknown = self.unknown[rows]
        scores[unknown] = self.model.prior.popularity[items[unknown]]
        return scores

    def follows(self, rows: Rows, leaders: Rows, floors: Doubles) -> Doubles:
        """See `Scoring`: both users have the same multipliers, of at most 1; of a sum also the same scores."""
        found = floors if self.model.similar is not None else self.of_als.follows(rows, leaders, floors)
        return np.where(self.unknown[rows] | self.unknown[leaders], np.inf, found)
