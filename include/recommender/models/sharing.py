"""Users with one interaction, on the same item, share a search: their tastes are parallel, and most raw users are such.

One of them, the leader, gets a list that is longer than is wanted. The others need only the exact scores of its items:
no other item can score more for them than the lowest of that list, times how much stronger their taste is. Where that
does not decide, the user is searched for alone. So the lists are those of a search for each, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .histories import Histories, Ints
from .protocol import Rows, Scores, Shortlisting

# Fewer users of one item are not worth a longer list.
LEAST_USERS = 4
# So many times the items that are wanted: then the lowest of them leaves hardly a near-tie with the last one wanted.
LONGER = 4

Flags = np.ndarray[Any, np.dtype[np.bool_]]


def leaders_of(histories: Histories, seen: Histories) -> Rows:
    """The leader of each user, int64, shape (n,); a leader's is the user itself, and -1 is nobody.

    Parameters
    ----------
    histories, seen : see `recommend_all`; users share where both are one item, and the same
    """
    leaders = np.full(len(histories), -1, dtype=np.int64)
    single = np.flatnonzero((histories.sizes == 1) & (seen.sizes == 1))
    if not len(single):
        return leaders
    pairs = histories.items[histories.indptr[single]].astype(np.int64) * seen.n_items + seen.items[seen.indptr[single]]
    _, first, group, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
    many = counts[group] >= LEAST_USERS
    leaders[single[many]] = single[first[group[many]]]
    return leaders


@dataclass(frozen=True)
class LongLists:
    """The lists of some leaders, int32 and float32, shape (n_leaders, LONGER * k); heads : their rows, ascending."""

    heads: Rows
    items: Ints
    scores: Scores

    def followed(
        self, model: Shortlisting, histories: Histories, leaders: Rows, rows: Rows, k: int
    ) -> tuple[Flags, Ints, Scores]:
        """The lists of users from those of their leaders.

        Parameters
        ----------
        leaders : of all users; rows : of the users

        Returns
        -------
        bool, shape (n,): whether the list is certain; int32 and float32, shape (n, k), of those that are
        """
        heads, lead = np.unique(leaders[rows], return_inverse=True)
        place = np.searchsorted(self.heads, leaders[rows])
        scoring = model.scoring(histories.take(np.concatenate([heads, rows])))
        at, candidates = len(heads) + np.arange(len(rows)), np.sort(self.items[place], axis=1)
        row, column = np.nonzero(candidates >= 0)
        exact = np.full(candidates.shape, -np.inf, dtype=np.float32)
        exact[row, column] = scoring.exact(at[row], candidates[row, column])
        order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
        items, scores = np.take_along_axis(candidates, order, axis=1), np.take_along_axis(exact, order, axis=1)
        whole = self.items[place, -1] < 0  # the leader's list has all items that there are
        floors = np.where(whole, 0.0, self.scores[place, -1])
        certain = whole | (scores[:, -1] > scoring.follows(at, lead, floors))
        return certain, np.where(np.isneginf(scores), -1, items).astype(np.int32), scores
