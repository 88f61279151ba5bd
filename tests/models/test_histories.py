"""Histories: what they refuse, and what taking some of them gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import EncodeConfig
from include.recommender.errors import DataError
from include.recommender.models.confidence import DAY_S, confidences
from include.recommender.models.histories import Histories

from .test_fold_in import matrix_of


def histories(indptr, items, confidence=None, n_items=5):
    given = np.full(len(items), 2.0) if confidence is None else np.array(confidence)
    return Histories(
        np.array(indptr, dtype=np.int64), np.array(items, dtype=np.int32), given.astype(np.float32), n_items
    )


@pytest.mark.parametrize(
    ("indptr", "items", "message"),
    [
        ([0, 1, 3], [0, 2, 2], "History 1 names item 2 after item 2; expected ascending, each once"),
        ([0, 0, 2], [3, 1], "History 1 names item 1 after item 3"),
        ([0, 1], [5], "expected 0 to 4"),
        ([0, 1], [-1], "expected 0 to 4"),
    ],
)
def test_an_item_twice_out_of_order_or_unknown_is_refused(indptr, items, message):
    with pytest.raises(DataError, match=message):
        histories(indptr, items)


@pytest.mark.parametrize("value", [0.5, 0.0, -1.0, np.nan, np.inf])
def test_a_confidence_below_one_or_not_finite_is_refused(value):
    with pytest.raises(DataError, match="at least 1 and finite"):
        histories([0, 2], [0, 1], [2.0, value])


def test_the_same_item_in_two_histories_is_no_duplicate():
    assert histories([0, 1, 1, 2], [3, 3]).sizes.tolist() == [1, 0, 1]


def test_a_matrix_with_a_repeated_entry_is_refused():
    matrix = sparse.csr_matrix((np.full(2, 3, np.float32), np.array([1, 1]), np.array([0, 2])), shape=(1, 4))
    with pytest.raises(DataError, match="each once"):
        Histories.of(matrix)


def test_the_order_of_a_matrix_does_not_matter():
    matrix = sparse.csr_matrix((np.array([3, 2], np.float32), np.array([2, 0]), np.array([0, 2])), shape=(1, 4))
    found = Histories.of(matrix)
    assert (found.items.tolist(), found.confidence.tolist()) == ([0, 2], [2, 3])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.data())
def test_taking_rows_is_that_of_the_matrix(sizes, data):
    matrix = matrix_of(sizes, 10)
    rows = np.array(data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=30)), dtype=np.int64)
    taken = Histories.of(matrix).take(rows)
    assert (taken.matrix != matrix[rows]).nnz == 0
    assert taken.sizes.tolist() == [sizes[row] for row in rows]
    assert taken.rows.tolist() == np.repeat(np.arange(len(rows)), taken.sizes).tolist()


def test_what_happened_after_the_split_time_has_no_age():
    times = np.array([-5, 0, 5], dtype=np.int64) * DAY_S
    found = confidences(times, np.full(3, 5, np.float32), np.ones(3, np.int8), split_s=0, config=EncodeConfig())
    assert found[0] < found[1] == found[2] == 1 + EncodeConfig().alpha
