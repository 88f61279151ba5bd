"""Which models are tried, and what they reach."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import stats

from include.recommender.config import KnnConfig
from include.recommender.evaluation import choose as choosing
from include.recommender.evaluation import race
from include.recommender.evaluation.choose import choose_model
from include.recommender.evaluation.evaluate import fold_task, judge
from include.recommender.evaluation.grid import Point, axes, configured
from include.recommender.evaluation.race import MAX_SWEEPS, tried
from include.recommender.models.als.training import fit_als
from include.recommender.models.confidence import DAY_S
from include.recommender.models.knn import ease
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.model import KNN_ALONE
from include.recommender.models.prior import fit_prior
from include.recommender.models.scoring import model_of

from .taste_worlds import (
    AGEING,
    CONFIG,
    FAMILY,
    PRIOR,
    SIMILARITY,
    inner_of,
    long_histories,
    phases,
    sets,
    with_ageing,
    with_factors,
    with_model,
    with_prior,
    world,
)


def test_what_is_reached_is_what_the_one_scoring_function_reaches():
    fold, whole = world(1.0, 1.5), with_model(CONFIG, fit_similarity=True)
    inner = inner_of(fold, CONFIG)
    similarities = {name: fit_similarities(inner.matrix, KnnConfig(similarity=name)) for name in ("bm25", "ease")}
    reached = {row.choice: row for row in choose_model(fold, whole).tried}
    (unaged, *_) = [configured(choice.applied(CONFIG)) for choice in reached if choice.half_life_days == 0]
    days = CONFIG.encode.half_life_days
    of_more = [configured(choice.applied(CONFIG)) for choice in reached if choice.factors == 32]
    for point in (
        Point(16, days, "bm25", 0.0, 30.0, 0.0),
        Point(16, days, "bm25", 0.5, 7.5, 0.2),
        Point(16, days, "bm25", 2.0, 15.0, 0.0),
        Point(16, days, "bm25", KNN_ALONE, 120.0, 2.5),
        Point(16, days, "ease", 0.25, 15.0, 0.35),
        Point(16, days, "ease", KNN_ALONE, 120.0, 0.0),
        unaged,
        of_more[0],
        of_more[-1],
    ):
        config = point.choice().applied(CONFIG)
        weighed = inner.reweighed(config.encode)
        items, popularity = fit_als(weighed.matrix, config.train)[0], fit_prior(inner.item_interactions, config.prior)
        task = fold_task(weighed, CONFIG.evaluate)
        judged = judge(
            {"model": model_of(items, similarities[point.similarity], popularity, config)}, task, CONFIG.evaluate
        )["model"]
        assert reached[point.choice()].recall == pytest.approx(judged.means["recall@10"], abs=1e-12)
        assert reached[point.choice()].coverage == pytest.approx(judged.means["coverage@10"], abs=1e-12)


@pytest.mark.parametrize(
    ("fold", "expected", "chosen"),
    [
        (sets, [4, 8, 16], 16),
        (lambda: world(6.0, 0.0), [4, 8, 16], 8),
        (lambda: world(3.0, 0.0, seed=3), [8, 16, 32], 16),
        (lambda: world(2.0, 0.0, seed=1), [4, 8], 4),
        (lambda: world(0.0, 3.0), [4, 8], 4),
    ],
    ids=["sets", "taste", "some taste", "little taste", "fashion"],
)
def test_more_factors_are_tried_as_long_as_they_are_better(fold, expected, chosen):
    """By more than a standard error. So the last of them are not, or the list ends there."""
    config = with_factors(with_prior(with_model(PRIOR, fit_factors=True), fit=False, power=0.0), expected[0])
    recalls = [each.recall for each in tried(inner_of(fold(), config), config).values()]
    found = choose_model(fold(), config)
    assert [row.choice.factors for row in found.tried] == expected
    assert found.choice.factors == chosen
    better = [stats.ttest_1samp(after - before, 0).statistic > 1 for before, after in pairwise(recalls)]
    assert all(better[:-1])
    assert len(expected) == 3 or not better[-1]


@pytest.mark.parametrize("fold", [sets, lambda: world(6.0, 0.0)], ids=["sets", "taste"])
def test_more_factors_are_tried_beside_the_best_of_fewer(fold):
    config = with_factors(with_model(CONFIG, fit_ageing=False), 4)
    of_factors = defaultdict(dict)
    for point, each in tried(inner_of(fold(), config), config).items():
        of_factors[point.factors][point] = float(each.recall.mean())
    assert len(of_factors) > 1
    for fewer, more in pairwise(of_factors.values()):
        best, near = max(fewer, key=fewer.get), []
        for value, axis in zip(best[2:], axes(config)[2:], strict=True):
            near.append([other for other in axis if abs(axis.index(other) - axis.index(value)) <= 1])
        assert [point[2:] for point in more] == list(product(*near))


def test_lists_that_are_held_in_parts_choose_the_same(monkeypatch):
    whole = choose_model(world(1.0, 1.5), CONFIG)
    monkeypatch.setattr(race, "LIST_BYTES", 1)
    assert choose_model(world(1.0, 1.5), CONFIG) == whole


def test_no_more_users_are_ranked_than_the_bound(monkeypatch):
    monkeypatch.setattr(race, "MAX_USERS", 40)
    assert choose_model(world(1.0, 1.0), FAMILY).judged_users == 40


@pytest.mark.parametrize("max_users", [1, 29])
def test_a_small_sample_of_judged_users_is_not_what_it_learns_from(max_users):
    few = replace(PRIOR, evaluate=replace(PRIOR.evaluate, max_users=max_users))
    assert choose_model(world(1.0, 1.0), few) == choose_model(world(1.0, 1.0), PRIOR)


def test_more_factors_are_tried_with_the_better_ageing():
    found = choose_model(phases("other"), with_factors(with_model(AGEING, fit_factors=True), 4))
    assert {row.choice.half_life_days for row in found.tried if row.choice.factors > 4} == {0.0}


def test_ageing_is_not_tried_where_nothing_could_age_and_not_begun_where_it_is_off():
    fold = phases("other")
    at_once = replace(fold, times=np.full_like(fold.times, fold.split_s - DAY_S))
    assert {row.choice.half_life_days for row in choose_model(at_once, AGEING).tried} == {10.0}
    off = with_ageing(AGEING, half_life_days=0.0)
    assert {row.choice.half_life_days for row in choose_model(phases("another"), off).tried} == {0.0}


FEW = with_model(CONFIG, fit_factors=False, fit_ageing=False)


@pytest.mark.parametrize(
    ("n_users", "expected"),
    [
        (5, [5]),
        (1_000, [1_000]),
        (1_999, [1_999]),
        (2_000, [1_000, 2_000]),
        (2_999, [1_000, 2_999]),
        (3_000, [1_000, 2_000, 3_000]),
        (16_000, [1_000, 2_000, 4_000, 8_000, 16_000]),
    ],
)
def test_users_come_in_batches_that_double_and_none_is_small(n_users, expected):
    assert race._ends(n_users) == expected


@pytest.mark.parametrize(
    "fold", [lambda: world(1.0, 1.5), lambda: world(0.0, 3.0), sets], ids=["both", "fashion", "sets"]
)
def test_a_race_drops_what_is_far_below_the_best_and_nothing_else(fold, monkeypatch):
    """By hand, from the recall of all models on all users."""
    inner = inner_of(fold(), FEW)
    whole = tried(inner, FEW, whole=True)
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    raced = tried(inner, FEW)
    n_users = len(next(iter(whole.values())).recall)
    assert len({len(each.recall) for each in raced.values()}) > 2
    assert list(raced) == list(whole)
    for point, each in raced.items():
        np.testing.assert_allclose(each.recall, whole[point].recall[: len(each.recall)], atol=1e-12)
    left, start = list(whole), 40
    while start < n_users:
        recalls = {point: whole[point].recall[:start] for point in left}
        best = max(recalls.values(), key=np.mean)
        stays = []
        for point, recall in recalls.items():
            difference = best - recall
            t = 0.0 if not difference.any() else stats.ttest_1samp(difference, 0).statistic
            if t <= race.DROPPED or point == configured(FEW):
                stays.append(point)
            else:
                assert len(raced[point].recall) == start
        left, start = stays, 2 * start if n_users >= 3 * start else n_users
    assert {point for point in raced if len(raced[point].recall) == n_users} == set(left)


def test_coverage_is_that_of_the_first_users_for_all_models(monkeypatch):
    inner = inner_of(world(1.0, 1.5), FEW)
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    raced, task = tried(inner, FEW), fold_task(inner, FEW.evaluate)
    first = np.sort(np.random.default_rng(FEW.train.seed).permutation(len(task.rows))[:40])
    held = np.split(inner.holdout_items, inner.holdout_indptr[1:-1])
    some = replace(
        inner,
        holdout_rows=inner.holdout_rows[first],
        holdout_indptr=np.cumsum([0, *task.n_held[first]]),
        holdout_items=np.concatenate([held[at] for at in first]),
    )
    for point, each in tried(some, FEW, whole=True).items():
        assert (raced[point].coverage, raced[point].listed_users) == (each.coverage, 40)


def test_what_was_dropped_is_never_chosen_and_says_on_how_many_users_it_was_judged(monkeypatch):
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    found = choose_model(world(0.0, 3.0), FEW)
    of_users = {row.choice: row.judged_users for row in found.tried}
    assert found.judged_users == of_users[found.choice] == max(of_users.values())
    assert min(of_users.values()) == found.listed_users == 40


def test_where_recall_may_be_given_up_all_are_judged_on_all_users(monkeypatch):
    """A model of a larger coverage may be far below the best."""
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    found = choose_model(world(0.0, 3.0), with_model(FEW, recall_given_up=0.1))
    assert {row.judged_users for row in found.tried} == {found.judged_users} == {found.listed_users}


@pytest.mark.parametrize(("between", "taken"), [("other", True), ("another", False)])
def test_an_attempt_is_given_up_where_it_is_worse_on_the_first_users(monkeypatch, between, taken):
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    found = tried(inner_of(phases(between), AGEING), AGEING)
    n_users = max(len(each.recall) for each in found.values())
    unaged = {len(each.recall) for point, each in found.items() if point.half_life_days == 0}
    assert (max(unaged) == n_users) == taken


@pytest.mark.parametrize(("iterations", "expected"), [(15, MAX_SWEEPS), (4, 4)])
def test_each_attempt_begins_anew_and_takes_as_many_sweeps(monkeypatch, iterations, expected):
    """So each is a model that a training makes, and none has the advantage of more training."""
    fits = []

    def noted(matrix, train):
        items, curve = fit_als(matrix, train)
        fits.append((train.factors, len(curve.loss)))
        return items, curve

    monkeypatch.setattr(race, "fit_als", noted)
    config = with_factors(with_model(AGEING, fit_factors=True), 4)
    config = replace(config, train=replace(config.train, iterations=iterations))
    tried(inner_of(phases("another"), config), config)
    assert fits[:3] == [(4, expected), (4, expected), (8, expected)]


def test_the_configured_model_is_never_dropped(monkeypatch):
    """So it can be kept where it is not clearly worse on all users."""
    config = with_prior(FEW, power=2.5, half_life_days=120.0)
    inner = inner_of(world(6.0, 0.0), config)
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    monkeypatch.setattr(race, "DROPPED", 0.1)
    raced = tried(inner, config)
    assert len(raced[configured(config)].recall) == max(len(each.recall) for each in raced.values())
    assert sum(len(each.recall) > 40 for each in raced.values()) < 100


def test_recall_of_what_was_dropped_is_on_the_scale_of_all_users(monkeypatch):
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    fold = world(0.0, 3.0)
    found, raced = choose_model(fold, FEW), tried(inner_of(fold, FEW), FEW)
    best = max((each.recall for each in raced.values() if len(each.recall) == found.judged_users), key=np.mean)
    for row, each in zip(found.tried, raced.values(), strict=True):
        n = row.judged_users
        assert row.recall == pytest.approx(max(0.0, best.mean() - best[:n].mean() + each.recall.mean()))
    assert {row.judged_users for row in found.tried} > {40, found.judged_users}


def test_hits_that_are_held_in_parts_are_the_same(monkeypatch):
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    inner = inner_of(world(1.0, 1.5), FEW)
    whole = tried(inner, FEW)
    monkeypatch.setattr(race, "LIST_BYTES", 2_000)
    for point, each in tried(inner, FEW).items():
        np.testing.assert_array_equal(each.recall, whole[point].recall)


@pytest.mark.parametrize(
    ("n_users", "errors", "ends"), [(400, 2.5, 40), (400, 1.5, 160), (160, 1.5, 40), (400, 0.5, 400)]
)
def test_an_attempt_is_given_up_late_for_less_than_early(monkeypatch, n_users, errors, ends):
    """Early is before a quarter of the users."""
    monkeypatch.setattr(race, "FIRST_USERS", 40)
    monkeypatch.setattr(race, "errors_below", lambda one, other: errors if one is not other else 0.0)
    heats = object.__new__(race.Heats)
    some = fold_task(inner_of(world(1.0, 1.5), FEW), FEW.evaluate)
    monkeypatch.setattr(race.Heats, "task", replace(some, rows=np.arange(n_users)), raising=False)
    monkeypatch.setattr(race.Heats, "_listed", lambda self, users: (np.ones((1, len(users))), np.ones(1)))
    monkeypatch.setattr(race.Heats, "_hits", lambda self, users, wanted: np.ones((1, len(users))))
    (found,) = heats.run(0, np.ones(n_users))
    assert len(found.recall) == ends


def similarities_of(found):
    return {(row.choice.knn_similarity, row.choice.family) for row in found.tried}


def test_ease_is_tried_with_all_weights_and_priors_and_taken_where_it_is_better(monkeypatch):
    fits = []
    monkeypatch.setattr(race, "fit_als", lambda *given: fits.append(given) or fit_als(*given))
    found = choose_model(long_histories(), SIMILARITY)
    assert (found.choice.family, found.choice.knn_similarity) == ("blend", "ease")
    assert similarities_of(found) == {("bm25", "als"), *product(("bm25", "ease"), ("blend", "knn"))}
    n_weights, n_priors = len(axes(SIMILARITY).weights), len(axes(SIMILARITY).powers) * 5
    assert len(found.tried) == (2 * n_weights - 1) * n_priors
    # It needs no factors of its own.
    assert len(fits) == 1


def test_ease_is_not_taken_where_it_is_not_better():
    assert choose_model(world(1.0, 1.5), SIMILARITY).choice.knn_similarity == "bm25"


def test_what_is_tried_after_ease_was_taken_has_it():
    found = choose_model(long_histories(), with_model(SIMILARITY, fit_factors=True))
    assert {row.choice.knn_similarity for row in found.tried if row.choice.factors > 16} == {"ease"}


@pytest.mark.parametrize(
    "config",
    [
        with_model(SIMILARITY, fit_similarity=False),
        with_model(SIMILARITY, family="als", fit_family=False),
        replace(SIMILARITY, knn=replace(SIMILARITY.knn, similarity="ease")),
    ],
)
def test_one_similarity_is_tried_where_no_other_is_asked_for(config):
    found = {row.choice.knn_similarity for row in choose_model(long_histories(), config).tried}
    assert found == {config.knn.similarity}


def test_ease_is_not_tried_where_what_is_trained_is_too_large_though_the_inner_fold_is_not(monkeypatch):
    fold = long_histories()
    counted = [(np.diff(each.matrix.indptr).astype(int) ** 2).sum() for each in (inner_of(fold, SIMILARITY), fold)]
    assert counted[0] < counted[1]
    monkeypatch.setattr(ease, "MOST_COUNTED", counted[0])
    found = choose_model(fold, SIMILARITY)
    assert similarities_of(found) == {*product(["bm25"], ("als", "blend", "knn"))}
    assert found.why.endswith(f"; EASE was not tried: more than {counted[0]:,} pairs of items of all users")
    monkeypatch.setattr(ease, "MOST_COUNTED", counted[1])
    assert "EASE was not tried" not in choose_model(fold, SIMILARITY).why


def test_ease_is_not_tried_where_the_machine_is_too_small_for_it(monkeypatch):
    fold = long_histories()
    needed = ease.fit_bytes(fold.matrix) / 0.8 / choosing.USABLE_MEMORY
    monkeypatch.setattr(choosing, "limit_bytes", lambda: needed - 1)
    assert "; EASE was not tried: it needs about 0.0 GB" in choose_model(fold, SIMILARITY).why
    monkeypatch.setattr(choosing, "limit_bytes", lambda: needed + 1)
    assert choosing.unaffordable_ease(fold, SIMILARITY) is None


def test_als_alone_is_tried_with_the_configured_similarity_only():
    found = choose_model(long_histories(), with_model(SIMILARITY, fit_factors=True, knn_weight=0.25))
    assert {row.choice.knn_similarity for row in found.tried if row.choice.family == "als"} == {"bm25"}
    assert {row.choice.knn_weight for row in found.tried if row.choice.factors > 16} >= {0.25, 0.5}


def test_where_nothing_is_left_to_choose_nothing_is_fitted(monkeypatch):
    monkeypatch.setattr(race, "fit_als", lambda *_: pytest.fail("fitted"))
    off = with_prior(with_model(SIMILARITY, fit_family=False), fit=False)
    for config in (with_model(off, family="als"), replace(off, knn=replace(off.knn, similarity="ease"))):
        assert choose_model(long_histories(), config).why == "as configured"
    monkeypatch.setattr(ease, "MOST_ITEMS", 100)
    found = choose_model(long_histories(), off)
    assert (found.why, found.tried) == ("as configured; EASE was not tried: more than 100 items", [])


def test_the_regularization_is_that_of_the_part_that_is_fitted(monkeypatch):
    """Of a quarter of the interactions, a quarter: it counts users."""
    given, fold = [], long_histories()
    monkeypatch.setattr(race, "fit_similarities", lambda *all_: given.append(all_) or fit_similarities(*all_))
    for most in (fold.matrix.nnz, fold.matrix.nnz // 4):
        monkeypatch.setattr(choosing, "MAX_INTERACTIONS", most)
        choose_model(fold, SIMILARITY)
    of_ease = [config.regularization for _, config in given if config.similarity == "ease"]
    assert of_ease == [300.0, pytest.approx(75.0, rel=1e-3)]
