"""The sum of ALS and item-kNN is what its definition says, whoever else is in the batch, and adds up over a history."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import ModelConfig, PriorConfig, RetrainConfig
from include.recommender.models.als.taste import Als
from include.recommender.models.explain import contributions
from include.recommender.models.histories import Histories
from include.recommender.models.knn.similarities import Similarities, root_mean_squares
from include.recommender.models.model import KNN_ALONE, Model, array_names
from include.recommender.models.prior import ItemPrior
from include.recommender.models.ranking import recommend_all
from include.recommender.models.scoring import knn_weight, model_of, needs_similarities
from include.recommender.models.shortlist import shortlist

from . import families, oracle
from .families import SUMS, each_family, each_sum, of_als, scaled, similar_of, weights
from .test_fold_in import items_of, matrix_of

quick = settings(max_examples=60, deadline=None)
SIZES = [0, 1, 1, 2, 5, 9, 40]


@quick
@given(
    weight=st.sampled_from(list(SUMS.values())),
    n_factors=st.sampled_from([3, 8, 24]),
    regularization=st.sampled_from([0.01, 1.0, 20.0, 1000.0]),
    power=st.sampled_from([0.0, 0.35, 2.5]),
    alpha=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_it_is_the_sum_of_both_parts_on_one_scale(weight, n_factors, regularization, power, alpha, seed):
    rng = np.random.default_rng(seed)
    factors, similar, matrix = items_of(60, n_factors, seed), similar_of(60, seed), matrix_of(SIZES, 60, seed, alpha)
    popularity, histories = rng.pareto(0.7, 60), Histories.of(matrix)
    prior = ItemPrior.of(popularity, PriorConfig(power=power, short_history=1.0))
    found = Model(Als.of(factors, regularization), prior, similar, weight).score(histories)
    by_als, by_knn = oracle.parts(matrix, factors, regularization, similar.matrix.toarray())
    by_prior = oracle.multipliers(popularity, histories.sizes, power, 1.0)
    expected, most = (by_als + weight * by_knn) * by_prior, np.abs(by_als).max(axis=1, keepdims=True)
    assert found.dtype == np.float32
    assert (np.abs(found - expected)[1:] <= (1e-5 * (most + weight * by_knn) * by_prior)[1:]).all()
    np.testing.assert_array_equal(found[0], popularity.astype(np.float32))


@each_sum
@pytest.mark.parametrize("factor", [1.0, 7.0, 1e4])
def test_whatever_the_confidences_and_the_length_both_parts_have_one_scale(weight, factor):
    model, histories = families.model_of(300, 16, weight, power=0.0), Histories.of(matrix_of([1, 2, 5, 30, 200], 300))
    by_als = of_als(model).als.whitened.scores(model.parts(scaled(histories, factor))[0])
    by_knn = model.score(scaled(histories, factor)) - by_als
    np.testing.assert_allclose(np.sqrt(np.square(by_als).mean(axis=1)), 1, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.square(by_knn).mean(axis=1)), weight, rtol=1e-3)


@quick
@given(st.sampled_from(list(SUMS.values())), st.sampled_from([2.0, 16.0, 2.0**20]), st.integers(0, 99))
def test_the_scale_of_the_confidences_changes_neither_item_knn_nor_users_of_one_item(weight, factor, seed):
    """To the last bit. What ALS says of longer histories depends on it, as in the half-step."""
    model = families.model_of(90, 8, weight, blank=True, seed=seed)
    histories = Histories.of(matrix_of([1] * 9 + [2, 5, 40], 90, seed))
    other = scaled(histories, factor)
    (_, one), (_, two) = model.parts(histories), model.parts(other)
    assert one.values.tobytes() == two.values.tobytes()
    assert model.score(histories)[:9].tobytes() == model.score(other)[:9].tobytes()


@quick
@given(
    weights,
    st.lists(st.integers(0, 80), min_size=2, max_size=30),
    st.sampled_from([1, 3, 16, 33]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_the_scores_of_a_history_are_the_same_alone_and_among_others_to_the_last_bit(
    weight, sizes, n_factors, blank, seed
):
    rng = np.random.default_rng(seed)
    model = families.model_of(333, n_factors, weight, blank=blank, seed=seed)
    histories = Histories.of(matrix_of(sizes, 333, seed))
    together = model.score(histories)
    for rows in (rng.permutation(len(sizes))[: rng.integers(1, len(sizes) + 1)], [len(sizes) - 1]):
        assert model.score(histories.take(np.array(rows))).tobytes() == together[rows].tobytes()


@each_sum
def test_so_they_are_on_a_wide_catalogue_and_for_some_of_the_items(weight):
    model, histories = families.model_of(9_001, 64, weight), Histories.of(matrix_of([0, 1, 2, 5, 70] * 9, 9_001))
    together, rng = model.score(histories), np.random.default_rng(0)
    for rows in ([17], [3, 40], [44, 1, 30, 5, 9, 10, 22]):
        some = histories.take(np.array(rows))
        assert model.score(some).tobytes() == together[rows].tobytes()
        at, items = rng.integers(0, len(rows), 500), rng.integers(0, 9_001, 500).astype(np.int32)
        assert model.scoring(some).exact(at, items).tobytes() == together[np.array(rows)[at], items].tobytes()


@each_family
def test_it_travels_in_files(tmp_path, weight):
    model = families.model_of(700, 8, weight)
    arrays, histories = model.arrays(), Histories.of(matrix_of(SIZES, 700))
    assert tuple(arrays) == array_names(weight > 0)
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}
    again = Model.of_arrays(mapped, weight)
    assert again.score(histories).tobytes() == model.score(histories).tobytes()
    assert again.without_prior.score(histories).tobytes() == model.without_prior.score(histories).tobytes()
    found, expected = (shortlist(each.scoring(histories), histories, 9) for each in (again, model))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@each_family
def test_without_its_prior_only_who_is_unknown_gets_what_is_popular(weight):
    model, histories = families.model_of(60, 5, weight, power=2.0), Histories.of(matrix_of([0, 3], 60))
    plain = model.without_prior
    nobody, somebody = plain.score(histories)
    assert nobody.tobytes() == model.prior.popularity.astype(np.float32).tobytes()
    assert (plain.prior.multipliers == 1).all()
    multipliers = model.prior.multipliers[2]
    np.testing.assert_allclose(somebody * multipliers, model.score(histories)[1], rtol=1e-6)
    assert not (multipliers == 1).all()


@quick
@given(
    weights, st.sampled_from([0.0, 0.35, 2.5]), st.booleans(), st.sampled_from([0.0, 1.0, 100.0]), st.integers(0, 99)
)
def test_what_the_items_of_a_history_contribute_adds_up_to_the_score(weight, power, blank, alpha, seed):
    model = families.model_of(60, 6, weight, blank=blank, power=power, seed=seed)
    histories = Histories.of(matrix_of([1, 1, 2, 5, 9, 40], 60, seed, alpha))
    scores, known = model.score(histories), np.logical_not(model.scoring(histories).unknown)
    for row in np.flatnonzero(known).tolist():
        history = histories.take(np.array([row]))
        multipliers = [model.prior.multiplier(int(histories.sizes[row]), item) for item in range(60)]
        largest = np.abs(scores[row] / multipliers).max()
        for item in (0, 7, 31, 59):
            found = contributions(model, history, item)
            assert found.shape == (histories.sizes[row],)
            assert abs(found.sum() - scores[row, item]) <= 1e-4 * largest * multipliers[item]


@each_sum
def test_an_item_contributes_what_it_says_as_a_neighbour(weight):
    """ALS knows nothing of these items."""
    similar = Similarities.of(sparse.csr_matrix(([0.3, 0.1, 0.2], ([0, 1, 2], [3, 3, 4])), shape=(5, 5)))
    model = Model(Als.of(np.zeros((5, 2), np.float32), 1.0), ItemPrior.of(np.ones(5), PriorConfig()), similar, weight)
    histories = Histories(np.array([0, 3]), np.arange(3, dtype=np.int32), np.array([1, 2, 5], np.float32), 5)
    scale = root_mean_squares(similar.scores(histories))[0]
    assert contributions(model, histories, 3) == pytest.approx(weight * np.array([0.3, 0.2, 0.0]) / scale)
    assert contributions(model, histories, 4) == pytest.approx(weight * np.array([0.0, 0.0, 1.0]) / scale)


@quick
@given(st.integers(0, 99), st.sampled_from([1, 2, 8, 24]))
def test_by_item_knn_alone_neighbours_come_first_in_their_order_and_als_orders_the_rest(seed, n_factors):
    model = families.model_of(200, n_factors, KNN_ALONE, power=0.0, seed=seed, span=(-1.0, 0.0))
    histories = Histories.of(matrix_of([1, 2, 5, 20], 200, seed))
    best, by_als = recommend_all(model, histories, histories, 200), of_als(model).score(histories)
    by_knn, seen = model.similar.scores(histories).toarray(), histories.matrix.toarray() > 0
    for row, items in enumerate(best):
        items = items[items >= 0]
        n = int(((by_knn[row] > 0) & ~seen[row]).sum())
        assert (by_knn[row, items[:n]] > 0).all()
        assert (by_knn[row, items[1:n]] <= by_knn[row, items[: max(0, n - 1)]] * (1 + 1e-4)).all()
        rest = by_als[row, items[n:]]
        assert (np.diff(rest) <= 1e-5 * np.abs(rest).max(initial=0)).all()


def test_families_of_the_configuration():
    factors, similar, popularity = items_of(40, 4), similar_of(40), np.arange(40.0)
    histories = Histories.of(matrix_of(SIZES, 40))
    for family, weight in (("als", 0.0), ("blend", 0.7), ("knn", KNN_ALONE)):
        config = RetrainConfig(model=ModelConfig(family=family, knn_weight=0.7))
        assert knn_weight(config) == weight
        assert needs_similarities(config) == (family != "als")
        prior = ItemPrior.of(popularity, config.prior)
        expected = Model(Als.of(factors, 20.0), prior, similar if weight else None, weight)
        found = model_of(factors, similar, popularity, config)
        assert found.score(histories).tobytes() == expected.score(histories).tobytes()
    alone = model_of(factors, None, popularity, RetrainConfig(model=ModelConfig(family="als")))
    assert alone.similar is None
