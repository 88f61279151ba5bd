"""The champion in the candidate's rows and columns, joined by id, never by row number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from ..config import RetrainConfig
from ..data.ids import rows_of
from ..models.als import fold_in
from ..models.prior import Counts, ItemPrior
from ..models.protocol import Rows, Scores
from ..registry.bundle import ModelPart


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
        user_ids: pa.StringArray,
        item_ids: pa.StringArray,
        matrix: sparse.csr_matrix,
        config: RetrainConfig,
        judged: Rows,
    ) -> Champion:
        """Join by ids.

        Parameters
        ----------
        matrix : confidence, float32 CSR, shape (len(user_ids), len(item_ids)), the histories to fold in from
        config : its own
        judged : rows of the users that it will be asked for; no others are folded in
        """
        users, items = rows_of(user_ids, part.user_ids), rows_of(item_ids, part.item_ids)
        unknown = items < 0
        item_factors = np.where(unknown[:, None], np.float32(0), part.als.item_factors[items])
        user_factors = np.where((users < 0)[:, None], np.float32(0), part.als.user_factors[users])
        new = judged[users[judged] < 0]
        gram = part.als.item_factors.T @ part.als.item_factors
        user_factors[new] = fold_in(matrix[new], item_factors, gram, config.train.regularization)
        prior = ItemPrior.of(part.prior, config.prior).take(items)
        return cls(user_factors, item_factors, prior, np.diff(matrix.indptr).astype(np.int32), unknown)

    def score(self, rows: Rows) -> Scores:
        """As it was published: see `ItemPrior.blended_scores`."""
        scores = self.prior.blended_scores(self.user_factors[rows], self.item_factors, self.history[rows])
        scores[:, self.unknown_items] = -np.inf
        return scores


Codes = tuple[np.ndarray[Any, np.dtype[np.int32]], np.ndarray[Any, np.dtype[np.int32]]]


def reindex(matrix: sparse.csr_matrix, have: Codes, want: Codes) -> sparse.csr_matrix:
    """A matrix in the rows and columns of another fold of the same reviews; what that fold lacks is left out.

    Parameters
    ----------
    have : (user codes, item codes) of the matrix, int32, each ascending
    want : (user codes, item codes) of the result
    """
    entries = matrix.tocoo()
    rows, has_row = _place(have[0], want[0])
    columns, has_column = _place(have[1], want[1])
    keep = has_row[entries.row] & has_column[entries.col]
    at = (rows[entries.row[keep]], columns[entries.col[keep]])
    return sparse.csr_matrix((entries.data[keep], at), shape=(len(want[0]), len(want[1])))


def _place(
    codes: np.ndarray[Any, Any], among: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Position of each code in an ascending array, and whether it is there."""
    place = np.minimum(np.searchsorted(among, codes), len(among) - 1)
    return place, among[place] == codes
