"""A published version in the candidate's columns, joined by item id, with the histories that it scores from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..ids import Vocabulary
from ..models.columns import InColumns
from ..models.histories import Histories
from ..models.protocol import ScoringModel

Codes = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class AlignedModel:
    """A model to be judged, and the judged users' histories in the model's own columns."""

    model: ScoringModel
    histories: Histories


def aligned(
    model: ScoringModel,
    own: Vocabulary,
    judged: Vocabulary,
    matrix: sparse.csr_matrix,
    matrix_items: Vocabulary,
) -> AlignedModel:
    """Join by ids.

    Parameters
    ----------
    own : items of the model
    judged : items that are judged, the candidate's columns
    matrix : confidences of the judged users by the model's own configuration, with its own minimum counts. Items that
        the model does not know are left out
    matrix_items : items of the matrix
    """
    place = own.rows(matrix_items.ids)
    known = np.flatnonzero(place >= 0)
    kept = matrix[:, known].tocsr()
    # Both vocabularies ascend, so the entries of a row stay in order.
    histories = Histories(
        kept.indptr.astype(np.int64), place[known][kept.indices].astype(np.int32), kept.data, len(own)
    )
    return AlignedModel(InColumns(model, own.rows(judged.ids)), histories)


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
