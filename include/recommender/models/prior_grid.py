"""The best items of many users under many priors and weights of item-kNN at once, from one score of each part.

An item's score is taste times popularity^power. So an item is among the K best under a power only if fewer than K
items have at least its popularity and more taste. The most popular items of each half-life, and the K-th largest taste
among them, leave few others. Only these are ranked, by the logarithm of the score.

It is for choosing a prior: scores are float32 products, so lists may differ from `ranking` where two scores differ in
their last bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .histories import Histories, Ints
from .model import KnnScores, Model
from .prior import LONG_HISTORY, Flags, ItemPopularity, log_popularity
from .protocol import Rows, Scores
from .ranking import in_blocks

# Of each half-life, so many of the most popular items are always ranked.
LEADING_ITEMS = 512

Logs = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, kw_only=True)
class PriorGrid:
    """Priors to compare: half-lives, each with some powers.

    logs : float32, shape (n_half_lives, n_items), of the popularity, see `log_popularity`
    leading : int32, shape (n_half_lives, at most LEADING_ITEMS), the most popular items of each, by popularity
    leads : bool, shape (n_half_lives, n_items), whether an item is one of them
    powers : float64, shape (n_powers,)
    short_history : see `PriorConfig`
    """

    logs: Logs
    leading: Ints
    leads: np.ndarray[Any, np.dtype[np.bool_]]
    powers: np.ndarray[Any, np.dtype[np.float64]]
    short_history: float

    @classmethod
    def of(cls, popularities: Sequence[ItemPopularity], powers: Sequence[float], short_history: float) -> PriorGrid:
        """popularities : float64, shape (n_items,), decayed counts of each half-life."""
        logs = np.stack([log_popularity(each) for each in popularities]).astype(np.float32)
        leading = np.argsort(-logs, axis=1, kind="stable")[:, :LEADING_ITEMS].astype(np.int32)
        leads = np.zeros(logs.shape, dtype=bool)
        np.put_along_axis(leads, leading, True, axis=1)
        return cls(
            logs=logs,
            leading=leading,
            leads=leads,
            powers=np.array(powers, dtype=np.float64),
            short_history=short_history,
        )

    def best(self, model: Model, weights: Sequence[float], histories: Histories, k: int) -> Ints:
        """The k best unseen items of each user.

        Parameters
        ----------
        model : with weight 1 of item-kNN, or without; its prior does not matter
        weights : of item-kNN

        Returns
        -------
        int32, shape (n_weights, n_half_lives, n_powers, n, k), best first; -1 if there are no more
        """
        vectors = _in_order(model)

        def lists(rows: Rows) -> Ints:
            some = histories.take(rows)
            tastes = _Tastes.of(model, vectors, some)
            found = self._lists(tastes, weights, some, k)
            if 0.0 in weights and tastes.blind.any():
                alone = self._lists(_Tastes.none(some), [0.0], some, k)
                found[weights.index(0.0)][:, :, tastes.blind] = alone[0][:, :, tastes.blind]
            return found

        rows, of_user = distinct(histories)
        return np.concatenate(in_blocks(lists, rows, histories.n_items), axis=3)[:, :, :, of_user]

    def _lists(self, tastes: _Tastes, weights: Sequence[float], histories: Histories, k: int) -> Ints:
        from .prior_kernels import best_of_grid

        found = np.full((len(weights), len(self.logs), len(self.powers), len(histories), k), -1, dtype=np.int32)
        best_of_grid(*self._inputs(tastes, weights, histories), found)
        return found

    def _inputs(self, tastes: _Tastes, weights: Sequence[float], histories: Histories) -> tuple[Scores, Any, Any, Any]:
        """What both kernels take; the scores of ALS are overwritten."""
        sizes = np.minimum(np.maximum(histories.sizes, 1), LONG_HISTORY)
        tastes.by_als[histories.rows, histories.items] = -np.inf
        knn = tastes.knn
        indptr = np.concatenate([[0], np.cumsum(knn.sizes, dtype=np.int64)])
        by_knn = indptr, knn.items, knn.values, np.array(weights, dtype=np.float64)
        of_priors = (self.logs, self.leading, self.leads)
        return tastes.by_als, by_knn, of_priors, (self.powers, 1.0 + self.short_history / sizes)

    def hits(
        self, model: Model, weights: Sequence[float], histories: Histories, held: Held, k: int, wanted: Flags
    ) -> Flags:
        """Whether held-out items are among the k best unseen items of their user.

        It makes no lists, which is several times as fast as `best`.

        Parameters
        ----------
        model, weights : see `best`
        held : of the users of `histories`
        wanted : bool, shape (n_weights, n_half_lives, n_powers), the priors and weights that are asked for

        Returns
        -------
        bool, shape (n_wanted, n_held_items), the wanted ones in their order
        """
        vectors, (rows, of_user) = _in_order(model), distinct(histories)
        # Items in the order of the lists that they are searched for in.
        of_list = of_user[np.repeat(np.arange(len(histories)), np.diff(held.indptr))]
        order = np.argsort(of_list, kind="stable")
        items, indptr = held.items[order], np.searchsorted(of_list[order], np.arange(len(rows) + 1))

        def found(lists: Rows) -> Flags:
            some, ends = histories.take(rows[lists]), indptr[lists[0] : lists[-1] + 2]
            asked = Held(ends - ends[0], items[ends[0] : ends[-1]])
            tastes = _Tastes.of(model, vectors, some)
            hits = self._hits(tastes, weights, some, asked, k, wanted)
            if 0.0 in weights and tastes.blind.any():
                alone = np.zeros_like(wanted)
                alone[weights.index(0.0)] = wanted[weights.index(0.0)]
                of_blind = np.repeat(tastes.blind, np.diff(asked.indptr))
                by_prior = self._hits(_Tastes.none(some), weights, some, asked, k, alone)
                hits[np.ix_(alone[wanted], of_blind)] = by_prior[:, of_blind]
            return hits

        hits = np.empty((np.count_nonzero(wanted), len(items)), dtype=bool)
        hits[:, order] = np.concatenate(in_blocks(found, np.arange(len(rows)), histories.n_items), axis=1)
        return hits

    def _hits(
        self, tastes: _Tastes, weights: Sequence[float], histories: Histories, held: Held, k: int, wanted: Flags
    ) -> Flags:
        from .prior_kernels import hits_of_grid

        place = np.full(wanted.shape, -1, dtype=np.int32)
        place[wanted] = np.arange(np.count_nonzero(wanted), dtype=np.int32)
        hits = np.zeros((len(held.items), np.count_nonzero(wanted)), dtype=np.uint8)
        hits_of_grid(*self._inputs(tastes, weights, histories), (*held, place, k), hits)
        return hits.T.astype(bool)


class Held(NamedTuple):
    """Items that are looked for in the lists of some users; -1 is on none.

    indptr : int64, shape (n_users + 1,)
    items : int32, shape (n_held_items,)
    """

    indptr: np.ndarray[Any, np.dtype[np.int64]]
    items: Ints


@dataclass(frozen=True)
class _Tastes:
    """Scores of both parts, in the order of the items.

    by_als : float32, shape (n, n_items)
    blind : bool, shape (n,), users of whom only item-kNN knows something: without it they get what is popular
    """

    by_als: Scores
    knn: KnnScores
    blind: Flags

    @classmethod
    def of(cls, model: Model, vectors: Scores, histories: Histories) -> _Tastes:
        """vectors : of the items in their order, float32, shape (n_items, n_factors)."""
        tastes, knn = model.parts(histories)
        by_als: Scores = tastes.astype(np.float32) @ vectors.T
        unknown = ~tastes.any(axis=1)
        by_als[unknown & (knn.sizes == 0)] = 1.0
        return cls(by_als, knn, unknown & (knn.sizes > 0))

    @classmethod
    def none(cls, histories: Histories) -> _Tastes:
        """Of users of whom nothing is known."""
        n = len(histories)
        return cls(np.ones((n, histories.n_items), dtype=np.float32), KnnScores.none(n), np.zeros(n, dtype=bool))


def _in_order(model: Model) -> Scores:
    whitened = model.als.whitened
    return whitened.vectors[whitened.place]


def by_list(histories: Histories) -> Rows:
    """The rows in an order in which users whose lists are equal, see `distinct`, are neighbours; int64."""
    _, of_user = distinct(histories)
    return np.argsort(of_user, kind="stable")


def distinct(histories: Histories) -> tuple[Rows, Rows]:
    """Users whose lists differ: of those with one interaction, on the same item, the first; their tastes are parallel.

    Returns
    -------
    int64: the rows of these users, and for each user the place of its list among them, shape (n,)
    """
    keys = np.arange(len(histories)) + histories.n_items
    single = np.flatnonzero(histories.sizes == 1)
    keys[single] = histories.items[histories.indptr[single]]
    _, rows, of_user = np.unique(keys, return_index=True, return_inverse=True)
    return rows, of_user
