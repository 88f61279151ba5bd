"""Evaluation by hand, its odd corners, and its independence of the machine."""

import numpy as np
import pytest
from scipy import sparse

from include.recommender.config import EvaluateConfig
from include.recommender.evaluation.evaluate import Task, by_history, judge, make_task
from include.recommender.models.histories import Histories

from ..tables import Table


def task_of(seen, held) -> Task:
    seen = sparse.csr_matrix(np.array(seen, dtype=np.float32))
    return Task(
        rows=np.arange(len(held), dtype=np.int32),
        seen=Histories.of(seen),
        held_indptr=np.cumsum([0, *map(len, held)]),
        held_items=np.array([item for items in held for item in items], dtype=np.int32),
        item_counts=np.bincount(seen.indices, minlength=seen.shape[1]),
    )


def judged(scores, task, top_k=2):
    model = Table(scores)
    return judge({"model": model}, task, EvaluateConfig(top_k=top_k), model.users)["model"]


def test_by_hand():
    # User 0 saw item 0 and is shown 3, 1: held out 1, 2 and a cold item, so one of three, at rank 2.
    # User 1 saw item 2 and is shown 0, 1: held out 0, so one of one, at rank 1.
    task = task_of([[1, 0, 0, 0], [0, 0, 1, 0]], [[1, 2, -1], [0]])
    outcome = judged([[9, 2, 1, 3], [4, 3, 9, 1]], task)
    assert outcome.recall.tolist() == [1 / 3, 1]
    expected = {
        "recall@2": (1 / 3 + 1) / 2,
        "hit_rate@2": 1,
        "mrr@2": (1 / 2 + 1) / 2,
        "map@2": ((1 / 2) / 2 + 1) / 2,
        "ndcg@2": ((1 / np.log2(3)) / (1 + 1 / np.log2(3)) + 1) / 2,
        # Shown are 3, 1, 0, 1: three of four items. Counts in train: 1, 0, 1, 0; a count of 0 is taken as 1 of 2.
        "coverage@2": 3 / 4,
        "novelty@2": 1.0,
        "popularity_bias@2": (1 / 4) / 1,
    }
    assert {name: outcome.means[name] for name in expected} == pytest.approx(expected)


def test_users_who_have_seen_everything_get_nothing_and_count():
    task = task_of([[1, 1], [1, 0]], [[-1], [1]])
    outcome = judged([[1, 2], [1, 2]], task)
    assert outcome.recall.tolist() == [0, 1]
    assert outcome.means["coverage@2"] == 0.5


def test_nothing_to_recommend_to_anybody():
    outcome = judged([[1, 2]], task_of([[1, 1]], [[-1]]))
    assert all(value == 0 for value in outcome.means.values())


def test_a_holdout_of_only_cold_items_is_a_recall_of_zero():
    histories = Histories.of(sparse.csr_matrix(np.array([[1, 0]], dtype=np.float32)))
    indptr, items = np.array([0, 2]), np.array([3, 99], dtype=np.int32)
    codes, rows = np.array([5, 7], dtype=np.int32), np.array([0], dtype=np.int32)
    task = make_task(histories, codes, rows, indptr, items, config=EvaluateConfig())
    assert task.held_items.tolist() == [-1, -1]
    assert task.n_held.tolist() == [2]
    assert judged([[1, 2]], task).recall.tolist() == [0]


def test_history_brackets():
    rows = by_history(np.array([0.0, 1.0, 0.5, 0.25]), np.array([0, 4, 3, 500], dtype=np.int32))
    assert rows == [
        {"from": 0, "users": 1, "recall": 0.0},
        {"from": 3, "users": 2, "recall": 0.75},
        {"from": 50, "users": 1, "recall": 0.25},
    ]


def fold(n_users=400, n_items=300, seed=0):
    rng = np.random.default_rng(seed)
    matrix = sparse.random(n_users, n_items, 0.05, format="csr", dtype=np.float32, random_state=rng)
    matrix.data += 1
    held = rng.integers(0, n_items + 20, (n_users, 3)).astype(np.int32)
    held.sort(axis=1)
    codes = np.arange(n_items, dtype=np.int32)
    rows, indptr = np.arange(n_users, dtype=np.int32), np.arange(0, 3 * n_users + 1, 3)
    return Histories.of(matrix), codes, rows, indptr, held.ravel()


def test_a_sample_of_users_is_seeded_and_keeps_each_ones_items():
    parts = fold()
    whole = make_task(*parts, config=EvaluateConfig(max_users=0))
    one, same, other = (make_task(*parts, config=EvaluateConfig(max_users=50, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)
    assert len(np.unique(one.rows)) == 50
    assert (one.seen.matrix != whole.seen.matrix[one.rows]).nnz == 0
    np.testing.assert_array_equal(one.held_items.reshape(-1, 3), whole.held_items.reshape(-1, 3)[one.rows])


def test_a_model_may_score_from_histories_of_its_own():
    """The judged users and what they have seen are the task's; what is known of them is the model's."""
    task = task_of([[1, 0, 0], [0, 1, 0]], [[2], [2]])
    model = Table([[0, 1, 2], [3, 2, 1]])
    swapped = judge({"model": model}, task, EvaluateConfig(top_k=1), model.users.take(np.array([1, 0])))["model"]
    assert swapped.recall.tolist() == [0, 1]
    assert judged([[0, 1, 2], [3, 2, 1]], task, top_k=1).recall.tolist() == [1, 0]
