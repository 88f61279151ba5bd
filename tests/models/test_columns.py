"""A model in the columns of another catalogue."""

import numpy as np
import pyarrow as pa
from scipy import sparse

from include.recommender.evaluation.alignment import aligned, rows_in
from include.recommender.ids import Vocabulary
from include.recommender.models.als.taste import Als
from include.recommender.models.columns import InColumns

from ..tables import Table
from .test_fold_in import items_of


def test_scores_move_with_their_items_and_unknown_items_are_last():
    model = Table([[1, 2, 3]])
    found = InColumns(model, np.array([2, -1, 0])).score(model.users)
    assert found.tolist() == [[3, -np.inf, 1]]


def test_a_version_scores_from_the_items_that_it_knows_by_id():
    """Its items are b, d; its histories come over a, b, c, d; the candidate has b, c, d."""
    model, ids = Als.of(items_of(2, 3), 1.0), [Vocabulary(pa.array(list(text))) for text in ("bd", "bcd", "abcd")]
    matrix = sparse.csr_matrix(np.array([[5, 3, 0, 2], [4, 0, 6, 0]], dtype=np.float32))
    version = aligned(model, own=ids[0], judged=ids[1], matrix=matrix, matrix_items=ids[2])
    assert version.histories.matrix.toarray().tolist() == [[3, 2], [0, 0]]
    own = model.score(version.histories)
    assert version.model.score(version.histories).tolist() == [[own[0][0], -np.inf, own[0][1]], [0, -np.inf, 0]]


def test_users_that_a_fold_lacks_have_empty_rows():
    matrix = sparse.csr_matrix(np.array([[2, 0], [0, 3]], dtype=np.float32))
    rows = rows_in(matrix, np.array([4, 9], dtype=np.int32), np.array([1, 9, 4, 12], dtype=np.int32))
    assert rows.toarray().tolist() == [[0, 0], [0, 3], [2, 0], [0, 0]]
