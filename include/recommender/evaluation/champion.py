"""The champion in the candidate's rows and columns, joined by id, never by row number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from ..config import RetrainConfig
from ..data.ids import rows_of
from ..models.als import Factors, fold_in
from ..models.prior import Counts, ItemPrior
from ..models.protocol import Rows, Scores
from ..registry.bundle import ModelPart

Codes = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Histories:
    """What is known of users. matrix : confidence, float32 CSR, shape (n_users, len(item_ids))"""

    matrix: sparse.csr_matrix
    item_ids: pa.LargeStringArray


@dataclass(frozen=True)
class Champion:
    """A published model's judged factors, over another fold's users and items.

    Users it does not know are folded in from their history, as serving would; those with nothing it knows get its
    prior. Items it does not know cannot be recommended by it.
    """

    user_factors: np.ndarray[Any, np.dtype[np.float32]]
    item_factors: np.ndarray[Any, np.dtype[np.float32]]
    prior: ItemPrior
    history: Counts
    unknown_items: np.ndarray[Any, np.dtype[np.bool_]]

    @classmethod
    def align(
        cls,
        part: ModelPart,
        user_ids: pa.LargeStringArray,
        item_ids: pa.LargeStringArray,
        histories: Histories,
        config: RetrainConfig,
        judged: Rows,
    ) -> Champion:
        """Join by ids.

        Parameters
        ----------
        user_ids, item_ids : what is judged, the candidate's rows and columns
        histories : of the same users, by the champion's own configuration: what it leaves out is its own matter, and
            what the candidate leaves out is not
        config : its own
        judged : rows of the users that it will be asked for; no others are folded in
        """
        users, items = rows_of(user_ids, part.user_ids), rows_of(item_ids, part.item_ids)
        item_factors = _factors(part.als.item_factors, items)
        user_factors = _factors(part.als.user_factors, users)
        new = judged[users[judged] < 0]
        gram = part.als.item_factors.T @ part.als.item_factors
        seen = _factors(part.als.item_factors, rows_of(histories.item_ids, part.item_ids))
        user_factors[new] = fold_in(histories.matrix[new], seen, gram, config.train.regularization)
        prior = ItemPrior.of(part.prior, config.prior).take(items)
        return cls(user_factors, item_factors, prior, np.diff(histories.matrix.indptr).astype(np.int32), items < 0)

    def score(self, rows: Rows) -> Scores:
        """As it was published: see `ItemPrior.blended_scores`."""
        scores = self.prior.blended_scores(self.user_factors[rows], self.item_factors, self.history[rows])
        scores[:, self.unknown_items] = -np.inf
        return scores


def _factors(known: Factors, rows: np.ndarray[Any, Any]) -> Factors:
    """The factors at some rows, zero where the row is -1."""
    return np.where((rows < 0)[:, None], np.float32(0), known[rows])


def rows_in(matrix: sparse.csr_matrix, have: Codes, want: Codes) -> sparse.csr_matrix:
    """A matrix in the rows of another fold of the same reviews; users that it lacks have empty rows.

    Parameters
    ----------
    have : user codes of the matrix, int32, ascending
    want : user codes of the result
    """
    place = np.minimum(np.searchsorted(have, want), len(have) - 1)
    found = have[place] == want
    empty = sparse.csr_matrix((1, matrix.shape[1]), dtype=matrix.dtype)
    rows: sparse.csr_matrix = sparse.vstack([matrix, empty], format="csr")[np.where(found, place, len(have))]
    return rows
