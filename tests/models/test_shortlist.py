"""The shortlist finds what scoring everything exactly finds, to the last bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.models import ranking, whitening
from include.recommender.models import shortlist as shortlist_module
from include.recommender.models.als.taste import Als
from include.recommender.models.histories import Histories
from include.recommender.models.ranking import best_unseen, recommend_all
from include.recommender.models.shortlist import BLOCK_ITEMS, CHUNK_ITEMS, shortlist

from .families import each_family, each_sum, model_of, weights
from .test_fold_in import items_of, matrix_of

SIZES = [0, 1, 1, 2, 5, 9, 40]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of one block, so that small catalogues have many."""
    for module in (shortlist_module, whitening):
        monkeypatch.setattr(module, "CHUNK_ITEMS", BLOCK_ITEMS)


def by_scoring_all(model, seen, k):
    scores = model.score(seen)
    best = best_unseen(scores.copy(), seen, k)
    found = np.take_along_axis(scores, np.maximum(best, 0), axis=1)
    return best, np.where(best >= 0, found, -np.inf)


@pytest.mark.parametrize("chunks", ["small", "as they are"])
@settings(max_examples=90, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weight=weights,
    n_items=st.sampled_from([1, 3, 255, 256, 257, 700, 5_000]),
    n_factors=st.sampled_from([1, 2, 16, 64, 100]),
    twins=st.booleans(),
    blank=st.booleans(),
    power=st.sampled_from([0.0, 0.2, 4.0]),
    k=st.sampled_from([1, 10, 300]),
    scale=st.sampled_from([1e-12, 1.0, 1e6]),
    seed=st.integers(0, 99),
)
def test_it_is_what_scoring_all_items_gives(
    request, chunks, weight, n_items, n_factors, twins, blank, power, k, scale, seed
):
    if chunks == "small":
        request.getfixturevalue("small_chunks")
    model = model_of(n_items, n_factors, weight, twins=twins, blank=blank, power=power, seed=seed, scale=scale)
    seen = Histories.of(matrix_of([min(size, n_items) for size in SIZES], n_items))
    best, scores = shortlist(model.scoring(seen), seen, k)
    expected = by_scoring_all(model, seen, k)
    np.testing.assert_array_equal(best, expected[0])
    np.testing.assert_array_equal(scores, expected[1].astype(np.float32))


@pytest.mark.usefixtures("small_chunks")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weight=weights,
    n_factors=st.integers(1, 130),
    blank=st.booleans(),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
    power=st.sampled_from([0.0, 0.5]),
)
def test_no_exact_score_exceeds_its_bound_or_the_limit_of_its_chunk(weight, n_factors, blank, scale, power):
    """But for the pairs apart, which have bounds of their own."""
    model = model_of(500, n_factors, weight, blank=blank, scale=scale, power=power)
    histories = Histories.of(matrix_of(SIZES, 500))
    scoring = model.scoring(histories)
    bounds = np.empty((len(histories), 500), dtype=np.float32)
    for start in range(0, 500, BLOCK_ITEMS):
        scoring.upper(start, bounds[:, start : start + BLOCK_ITEMS])
    exact, apart = model.score(histories), scoring.apart
    rows, items, their_bounds = apart
    assert (len(rows) > 0) == (weight > 0)
    assert (exact[rows, items] <= their_bounds).all()
    exact[rows, items] = -np.inf
    exact = exact[:, scoring.order]
    assert (exact <= bounds).all()
    assert (scoring.place[scoring.order] == np.arange(500)).all()
    for chunk, limit in enumerate(scoring.limits().T):
        assert (exact[:, chunk * whitening.CHUNK_ITEMS :] <= limit[:, None]).all()


def test_bounds_hold_where_the_gram_matrix_is_all_but_singular():
    """Whitened items are then longer than 1."""
    rng = np.random.default_rng(0)
    items = (1e6 * rng.standard_normal((300, 4)) @ rng.standard_normal((4, 32))).astype(np.float32)
    model, histories = Als.of(items, 1e-9), Histories.of(matrix_of(SIZES, 300))
    scoring = model.scoring(histories)
    bounds = np.empty((len(histories), 300), dtype=np.float32)
    scoring.upper(0, bounds)
    assert (model.score(histories)[:, scoring.order] <= bounds).all()


@each_family
@pytest.mark.parametrize("power", [0.0, 0.4, 1.5, 2.5, 4.0])
def test_few_items_are_scored_exactly(weight, power):
    """What makes it fast: the bounds leave hardly more than the k best, also where the prior is strong."""
    n_items = CHUNK_ITEMS * 2 + 5
    model, asked = model_of(n_items, 32, weight, power=power), []
    seen = Histories.of(matrix_of([1, 1, 4, 30], n_items))
    scoring = model.scoring(seen)
    exact = type(scoring).exact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(scoring), "exact", lambda self, *given: asked.append(len(given[1])) or exact(self, *given))
        shortlist(scoring, seen, 10)
    # Bounds of the pairs apart are loose where item-kNN says little.
    assert max(asked) <= (40 if 0 < weight <= 0.5 else 20) * len(seen)


@each_family
def test_users_who_have_seen_everything_get_nothing(weight):
    model = model_of(300, 8, weight)
    seen = Histories.of(sparse.csr_matrix(np.full((2, 300), 2, dtype=np.float32)))
    best, scores = shortlist(model.scoring(seen), seen, 5)
    assert (best == -1).all()
    assert np.isneginf(scores).all()


@pytest.mark.parametrize("shortlist_items", [0, 10**9], ids=["by shortlist", "by scoring all"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weight=weights,
    n_items=st.sampled_from([3, 30, 900]),
    n_factors=st.sampled_from([2, 24, 64]),
    twins=st.booleans(),
    blank=st.booleans(),
    seed=st.integers(0, 9),
)
def test_all_users_in_blocks_get_the_same_lists(
    monkeypatch, shortlist_items, weight, n_items, n_factors, twins, blank, seed
):
    monkeypatch.setattr(ranking, "SHORTLIST_ITEMS", shortlist_items)
    model = model_of(n_items, n_factors, weight, twins=twins, blank=blank, seed=seed)
    sizes = [min(size, n_items) for size in [*SIZES, *[1] * 30] * 10]
    seen = Histories.of(matrix_of(sizes, n_items, seed))
    expected = by_scoring_all(model, seen, 10)
    best, scores = ranking.best_of_all(model, seen, seen, 10)
    np.testing.assert_array_equal(best, expected[0])
    np.testing.assert_array_equal(scores, expected[1].astype(np.float32))
    np.testing.assert_array_equal(recommend_all(model, seen, seen, 10), expected[0])


@pytest.mark.usefixtures("small_chunks")
def test_items_that_cannot_be_among_the_best_are_not_scored():
    """Few items are much longer than the others, as popular items are."""
    rng = np.random.default_rng(3)
    items = items_of(20 * BLOCK_ITEMS, 16) * np.where(rng.random(20 * BLOCK_ITEMS) < 0.04, 1.0, 0.01)[:, None]
    model = Als.of(items.astype(np.float32), 5.0)
    seen, scored = Histories.of(matrix_of([1, 4, 9], len(items))), []
    scoring = model.scoring(seen)
    upper = type(scoring).upper
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(scoring), "upper", lambda *given: scored.append(given[1]) or upper(*given))
        best, _ = shortlist(scoring, seen, 2)
    assert len(scored) <= 4
    np.testing.assert_array_equal(best, by_scoring_all(model, seen, 2)[0])


@each_sum
@pytest.mark.usefixtures("small_chunks")
def test_where_the_best_are_neighbours_nothing_else_is_scored(weight):
    model, scored = model_of(20 * BLOCK_ITEMS, 16, weight, power=0.0, span=(0.0, 1.0)), []
    seen = Histories.of(matrix_of([20, 30, 40], 20 * BLOCK_ITEMS))
    scoring = model.scoring(seen)
    upper = type(scoring).upper
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(scoring), "upper", lambda *given: scored.append(given[1]) or upper(*given))
        best, _ = shortlist(scoring, seen, 2)
    assert (not scored) == (weight >= 0.5)
    np.testing.assert_array_equal(best, by_scoring_all(model, seen, 2)[0])


def singles(n_users, n_items, n_liked, seed):
    """Users with one interaction each, many on the same item, with confidences from 1 to 101."""
    rng = np.random.default_rng(seed)
    liked = rng.integers(0, min(n_liked, n_items), n_users)
    confidence = (1 + 100 * rng.random(n_users)).astype(np.float32)
    return Histories(np.arange(n_users + 1), liked.astype(np.int32), confidence, n_items)


@pytest.mark.parametrize("shortlist_items", [0, 10**9], ids=["by shortlist", "by scoring all"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weight=weights,
    n_items=st.sampled_from([1, 5, 30, 900]),
    n_factors=st.sampled_from([1, 2, 24, 64]),
    twins=st.booleans(),
    blank=st.booleans(),
    power=st.sampled_from([0.0, 0.4, 4.0]),
    scale=st.sampled_from([1e-12, 1.0, 1e6]),
    k=st.sampled_from([1, 10]),
    seed=st.integers(0, 99),
)
def test_users_of_one_item_who_share_a_search_get_their_own_lists(
    monkeypatch, shortlist_items, weight, n_items, n_factors, twins, blank, power, scale, k, seed
):
    monkeypatch.setattr(ranking, "SHORTLIST_ITEMS", shortlist_items)
    model = model_of(n_items, n_factors, weight, twins=twins, blank=blank, power=power, seed=seed, scale=scale)
    seen = singles(120, n_items, 9, seed)
    expected = by_scoring_all(model, seen, k)
    best, scores = ranking.best_of_all(model, seen, seen, k)
    np.testing.assert_array_equal(best, expected[0])
    np.testing.assert_array_equal(scores, expected[1].astype(np.float32))


@each_family
def test_most_of_them_need_no_search_of_their_own(monkeypatch, weight):
    searched = []
    search = ranking._search
    monkeypatch.setattr(ranking, "_search", lambda *given: searched.append(len(given[3])) or search(*given))
    model, seen = model_of(2_000, 32, weight), singles(3_000, 2_000, 20, 1)
    ranking.best_of_all(model, seen, seen, 10)
    assert searched[0] == 20
    assert sum(searched[1:]) < 60


@each_family
def test_no_item_beyond_the_list_of_a_leader_scores_more_than_what_follows_says(weight):
    model, seen = model_of(500, 16, weight), singles(200, 500, 3, 2)
    scoring, exact = model.scoring(seen), model.score(seen)
    for item in range(3):
        rows = np.flatnonzero(seen.items == item)
        floor = np.sort(exact[rows[0]])[::-1][40]
        below = exact[rows[0]] <= floor
        limits = scoring.follows(rows, np.full(len(rows), rows[0]), np.full(len(rows), float(floor)))
        assert (exact[rows][:, below].max(axis=1) <= limits).all()
        assert (limits < exact[rows].max(axis=1)).mean() > 0.9
