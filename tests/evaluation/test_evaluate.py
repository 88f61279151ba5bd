"""Evaluation by hand, its odd corners, and its independence of the machine."""

import numpy as np
import pytest
from scipy import sparse

from include.recommender.config import EvaluateConfig
from include.recommender.evaluation import evaluate
from include.recommender.evaluation.evaluate import Task, by_history, judge, make_task, recommend_all
from include.recommender.models.als import Als


class Table:
    """A contestant with given scores."""

    def __init__(self, scores):
        self.scores = np.array(scores, dtype=np.float32)

    def score(self, rows):
        return self.scores[rows].copy()


def task_of(seen, held) -> Task:
    seen = sparse.csr_matrix(np.array(seen, dtype=np.float32))
    return Task(
        seen,
        np.arange(len(held), dtype=np.int32),
        np.cumsum([0, *map(len, held)]),
        np.array([item for items in held for item in items], dtype=np.int32),
        np.bincount(seen.indices, minlength=seen.shape[1]),
    )


def judged(scores, task, top_k=2):
    return judge({"model": Table(scores)}, task, EvaluateConfig(top_k=top_k))["model"]


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


def test_k_beyond_the_catalogue_recommends_what_there_is():
    task = task_of([[1, 0, 0]], [[2]])
    assert recommend_all(Table([[1, 2, 3]]), task.seen, task.rows, 50).tolist() == [[2, 1, *[-1] * 48]]
    outcome = judged([[1, 2, 3]], task, top_k=100)
    assert outcome.means["recall@100"] == outcome.means["ndcg@100"] == outcome.means["map@100"] == 1


def test_users_who_have_seen_everything_get_nothing_and_count():
    task = task_of([[1, 1], [1, 0]], [[-1], [1]])
    outcome = judged([[1, 2], [1, 2]], task)
    assert outcome.recall.tolist() == [0, 1]
    assert outcome.means["coverage@2"] == 0.5


def test_nothing_to_recommend_to_anybody():
    outcome = judged([[1, 2]], task_of([[1, 1]], [[-1]]))
    assert all(value == 0 for value in outcome.means.values())


def test_a_holdout_of_only_cold_items_is_a_recall_of_zero():
    matrix = sparse.csr_matrix(np.array([[1, 0]], dtype=np.float32))
    indptr, items = np.array([0, 2]), np.array([3, 99], dtype=np.int32)
    task = make_task(
        matrix, np.array([5, 7], dtype=np.int32), np.array([0], dtype=np.int32), indptr, items, EvaluateConfig()
    )
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
    held = rng.integers(0, n_items + 20, (n_users, 3)).astype(np.int32)
    held.sort(axis=1)
    codes = np.arange(n_items, dtype=np.int32)
    return matrix, codes, np.arange(n_users, dtype=np.int32), np.arange(0, 3 * n_users + 1, 3), held.ravel()


def test_a_sample_of_users_is_seeded_and_keeps_each_ones_items():
    parts = fold()
    whole = make_task(*parts, EvaluateConfig(max_users=0))
    one, same, other = (make_task(*parts, EvaluateConfig(max_users=50, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)
    assert len(np.unique(one.rows)) == 50
    np.testing.assert_array_equal(one.held_items.reshape(-1, 3), whole.held_items.reshape(-1, 3)[one.rows])


@pytest.mark.parametrize("block_scores", [1, 3_000, 10**9])
def test_neither_cores_nor_block_sizes_change_what_is_recommended(monkeypatch, block_scores):
    rng = np.random.default_rng(5)
    matrix, _, rows, _, _ = fold()
    # Small whole numbers: sums are exact, and ties abound.
    model = Als(*(rng.integers(-2, 3, (n, 4)).astype(np.float32) for n in matrix.shape))
    expected = recommend_all(model, matrix, rows, 20)
    scores = np.where(matrix.toarray() > 0, -np.inf, model.score(rows))
    np.testing.assert_array_equal(expected, np.argsort(-scores, axis=1, kind="stable")[:, :20])
    monkeypatch.setattr(evaluate, "BLOCK_SCORES", block_scores)
    for cores in (1, 7):
        monkeypatch.setattr(evaluate, "_n_cores", lambda cores=cores: cores)
        np.testing.assert_array_equal(recommend_all(model, matrix, rows, 20), expected)


def test_the_blocks_in_flight_stay_within_their_bound_on_any_machine(monkeypatch):
    asked = []
    workers = evaluate.ThreadPoolExecutor
    monkeypatch.setattr(evaluate, "ThreadPoolExecutor", lambda n: asked.append(n) or workers(n))
    monkeypatch.setattr(evaluate, "_n_cores", lambda: 512)
    largest = []

    class Watched(Table):
        def score(self, rows):
            largest.append(len(rows))
            return super().score(rows)

    matrix = sparse.csr_matrix((300, 20_000), dtype=np.float32)
    recommend_all(Watched(np.zeros((300, 20_000))), matrix, np.arange(300), 5)
    assert asked[0] * max(largest) * 20_000 <= evaluate.SCORES_IN_FLIGHT
    assert max(largest) * 20_000 <= evaluate.BLOCK_SCORES
