"""The exact top K of unseen items, one tie rule, and its independence of the machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.models import ranking
from include.recommender.models.als.taste import Als
from include.recommender.models.histories import Histories
from include.recommender.models.popularity import Popularity
from include.recommender.models.ranking import first_unseen, recommend_all, top_k

from ..tables import Table
from .test_fold_in import items_of, matrix_of


@given(st.integers(1, 700), st.integers(1, 12), st.integers(0, 2**31), st.booleans())
def test_top_k_is_a_stable_sort(n_items, k, seed, coarse):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, 3, (4, n_items)) if coarse else rng.random((4, n_items))).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    best = top_k(scores.copy(), k)
    for row in range(4):
        allowed = [c for c in np.argsort(-scores[row], kind="stable") if np.isfinite(scores[row, c])][:k]
        assert [c for c in best[row] if c >= 0] == allowed


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**31))
def test_the_first_unseen_of_one_order_are_the_best_unseen_by_its_ranks(n_items, k, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_items).astype(np.int32)
    seen = Histories.of(sparse.csr_matrix(rng.random((9, n_items)) < rng.random((9, 1)), dtype=np.float32))
    model = Popularity(np.zeros(n_items), order)
    expected = ranking.best_unseen(model.score(seen), seen, k)
    assert first_unseen(order, seen, k).tolist() == expected.tolist()
    assert recommend_all(model, seen, seen, k).tolist() == expected.tolist()


def test_k_beyond_the_catalogue_recommends_what_there_is():
    model, seen = Table([[1, 2, 3]]), Histories.of(sparse.csr_matrix(np.array([[1, 0, 0]], dtype=np.float32)))
    assert recommend_all(model, model.users, seen, 50).tolist() == [[2, 1, *[-1] * 48]]


@pytest.mark.parametrize("block_scores", [1, 3_000, 10**9])
def test_neither_cores_nor_block_sizes_change_what_is_recommended(monkeypatch, block_scores):
    seen = Histories.of(matrix_of([0, 1, 3, 20, 40] * 60, 300))
    model = Als.of(items_of(300, 16), 20.0)
    expected = recommend_all(model, seen, seen, 20)
    scores = np.where(seen.matrix.toarray() > 0, -np.inf, model.score(seen))
    np.testing.assert_array_equal(expected, np.argsort(-scores, axis=1, kind="stable")[:, :20])
    monkeypatch.setattr(ranking, "BLOCK_SCORES", block_scores)
    for cores in (1, 7):
        monkeypatch.setattr(ranking, "n_cores", lambda cores=cores: cores)
        np.testing.assert_array_equal(recommend_all(model, seen, seen, 20), expected)


def test_the_list_of_a_user_is_the_same_alone_and_among_others():
    seen = Histories.of(matrix_of([1, 2, 9, 70] * 25, 5_000))
    model = Als.of(items_of(5_000, 64), 20.0)
    together = recommend_all(model, seen, seen, 50)
    for user in (0, 17, 42, 99):
        alone = seen.take(np.array([user]))
        assert recommend_all(model, alone, alone, 50)[0].tolist() == together[user].tolist()


def test_the_blocks_in_flight_stay_within_their_bound_on_any_machine(monkeypatch):
    asked = []
    workers = ranking.ThreadPoolExecutor
    monkeypatch.setattr(ranking, "ThreadPoolExecutor", lambda n: asked.append(n) or workers(n))
    monkeypatch.setattr(ranking, "n_cores", lambda: 512)
    largest = []

    class Watched(Table):
        def score(self, histories):
            largest.append(len(histories))
            return super().score(histories)

    model, seen = Watched(np.zeros((300, 20_000))), Histories.of(sparse.csr_matrix((300, 20_000), dtype=np.float32))
    recommend_all(model, model.users, seen, 5)
    assert asked[0] * max(largest) * 20_000 <= ranking.SCORES_IN_FLIGHT
    assert max(largest) * 20_000 <= ranking.BLOCK_SCORES
