"""Family, factors, ageing and item prior follow the evidence, and not the noise."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from include.recommender.config import RetrainConfig
from include.recommender.evaluation import choose as choosing
from include.recommender.evaluation.choose import (
    MIN_USERS,
    affordable_factors,
    choose_model,
    chooses,
    chosen_of,
    nearest,
)
from include.recommender.evaluation.fitting import fit
from include.recommender.evaluation.grid import HALF_LIVES, POWERS, WEIGHTS, Point, axes, configured
from include.recommender.evaluation.race import Found, tried
from include.recommender.models.als.training import fit_als
from include.recommender.models.choice import Choice
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.memory import MatrixSize, needed_bytes
from include.recommender.models.model import KNN_ALONE
from include.recommender.models.prior import fit_prior
from include.recommender.models.scoring import model_of
from include.recommender.parameters.definition import MOST_DAYS

from .taste_worlds import (
    AGEING,
    CONFIG,
    FAMILY,
    PRIOR,
    inner_of,
    phases,
    sets,
    with_ageing,
    with_factors,
    with_model,
    with_prior,
    world,
)


@pytest.mark.parametrize("family", ["als", "blend", "knn"])
def test_where_fashion_rules_the_prior_weighs_more_than_where_taste_does(family):
    taste, fashion = world(6.0, 0.0), world(0.0, 3.0)
    alone, strong = (with_prior(with_model(PRIOR, family=family), power=power) for power in (0.0, 1.0))
    assert choose_model(taste, strong).choice.prior_power < choose_model(fashion, strong).choice.prior_power
    assert choose_model(taste, alone).choice.prior_power == 0.0 < choose_model(fashion, alone).choice.prior_power
    for found in (choose_model(taste, strong), choose_model(fashion, alone)):
        assert found.judged_users > 100
        (own,) = (row for row in found.tried if row.choice == found.choice)
        assert not own.clearly_worse


def test_where_fashions_pass_quickly_the_half_life_is_shorter_than_where_they_last():
    """Each month has its own fashion, or one fashion lasts for all of train."""
    config = with_prior(PRIOR, half_life_days=60.0)
    quick = choose_model(world(0.0, 3.0), config).choice
    lasting = choose_model(world(0.0, 3.0, months_a_trend=10), config).choice
    assert quick.prior_half_life_days < 60 <= lasting.prior_half_life_days


@pytest.mark.slow
def test_without_evidence_it_leaves_the_prior_that_is_configured_in_about_one_of_three():
    moved = [choose_model(world(0.0, 0.0, seed), PRIOR).choice != Choice.of(PRIOR) for seed in range(40)]
    # Three standard errors of 40 worlds.
    assert abs(np.mean(moved) - 1 / 3) < 3 * (2 / 9 / 40) ** 0.5


@pytest.mark.parametrize("seed", range(3))
def test_where_small_groups_buy_the_same_item_knn_has_a_weight_and_where_nobody_does_als_stays_alone(seed):
    """The groups are far more than the factors."""
    alone = with_model(FAMILY, family="als")
    together = choose_model(sets(seed=seed), alone)
    assert together.choice.family != "als"
    assert {row.choice.family: row.clearly_worse for row in together.tried}["als"]
    assert choose_model(sets(1.0, seed), alone).choice == Choice.of(alone)


def test_too_few_users_teach_nothing():
    few = choose_model(world(0.0, 3.0, n_users=MIN_USERS - 5), CONFIG)
    assert (few.choice, few.tried) == (Choice.of(CONFIG), [])
    assert "too few" in few.why


@pytest.mark.parametrize("family", ["als", "blend", "knn"])
def test_what_is_fixed_is_left_alone(family):
    config = with_prior(with_model(PRIOR, family=family, knn_weight=3.0), power=0.7, half_life_days=11.0, fit=False)
    found = choose_model(world(0.0, 3.0), config)
    assert (found.choice, found.tried, found.judged_users) == (Choice.of(config), [], 0)
    assert (found.choice.family, found.choice.prior_power, found.choice.prior_half_life_days) == (family, 0.7, 11.0)


@pytest.mark.parametrize("free", ["family", "factors", "ageing", "prior"])
def test_each_switch_is_of_its_own_axes(free):
    switches = {f"fit_{name}": name == free for name in ("family", "factors", "ageing")}
    config = with_prior(with_model(CONFIG, **switches), power=0.3, fit=free == "prior")
    points = [row.choice for row in choose_model(world(1.0, 1.5), config).tried]
    fields = {
        "family": ("family", "knn_weight"),
        "factors": ("factors",),
        "ageing": ("half_life_days",),
        "prior": ("prior_power", "prior_half_life_days"),
    }
    for switch, names in fields.items():
        values = {tuple(getattr(point, name) for name in names) for point in points}
        assert (len(values) > 1) == (switch == free)
        assert tuple(getattr(Choice.of(config), name) for name in names) in values
    of_prior = len(HALF_LIVES) * len({*POWERS, 0.3})
    sizes = {"family": len(WEIGHTS), "factors": len(points), "ageing": 2, "prior": of_prior}
    assert len(points) == sizes[free]


def test_the_holdout_of_the_gate_does_not_count():
    fold = world(1.0, 1.0)
    shuffled = replace(fold, holdout_items=np.random.default_rng(1).permutation(fold.holdout_items))
    assert choose_model(shuffled, CONFIG) == choose_model(fold, CONFIG)


@pytest.mark.parametrize(
    ("family", "weight", "power", "days"),
    [("blend", 0.3, 0.0, 30.0), ("als", 0.5, 0.33, 50.0), ("knn", 0.5, 0.2, 30.0)],
)
def test_the_configured_is_among_those_tried(family, weight, power, days):
    config = with_prior(with_model(CONFIG, family=family, knn_weight=weight), power=power, half_life_days=days)
    points = [row.choice for row in choose_model(world(1.0, 1.0), config).tried]
    assert Choice.of(config) in points
    assert len(points) == len(set(points))
    n_weights = len(WEIGHTS) + (family == "blend")
    own = [point for point in points if (point.factors, point.half_life_days) == (16, CONFIG.encode.half_life_days)]
    assert len(own) == n_weights * len(HALF_LIVES) * len({*POWERS, power})


def test_no_more_factors_are_tried_than_a_run_may_have_or_than_fit_into_memory(monkeypatch):
    for own, expected in ((256, [256, 512, 1_024]), (300, [300, 600]), (600, [600]), (1_024, [1_024])):
        assert axes(with_factors(CONFIG, own))[0] == expected
    few = with_factors(with_prior(with_model(PRIOR, fit_factors=True), fit=False), 4)
    assert {point.factors for point in tried(inner_of(sets(), few), few, largest=8)} == {4, 8}
    monkeypatch.setattr(choosing, "limit_bytes", lambda: 0)
    found = choose_model(sets(), few)
    assert [row.choice.factors for row in found.tried] == [4]
    assert "more than 4 factors do not fit into this machine's memory" in found.why


def test_what_fits_is_counted_with_the_holdout_and_leaves_room(monkeypatch):
    config, size = with_factors(CONFIG, 64), MatrixSize.of(sets().matrix)
    whole = MatrixSize(**{name: round(value / 0.8) for name, value in asdict(size).items()})
    needed = needed_bytes(whole, with_factors(config, 128).train) / choosing.USABLE_MEMORY
    for limit, expected in ((needed + 2, 128), (needed - 2, 64)):
        monkeypatch.setattr(choosing, "limit_bytes", lambda limit=limit: limit)
        assert affordable_factors(sets(), config) == expected


AXES = (8, 16), (0.0, 120.0), ("bm25", "ease"), (0.0, 0.5, KNN_ALONE), (1.0, 2.0), (0.0, 0.5)


GRID = [Point(*values) for values in product(*AXES)]


RECALLS = arrays(np.float64, (len(GRID), 12), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@settings(max_examples=100, deadline=None)
@given(RECALLS, st.sampled_from(GRID), st.floats(0.5, 4.0))
def test_the_nearest_that_is_not_clearly_worse_on_the_way_to_the_best(recalls, own, limit):
    found, best, below = nearest(dict(zip(GRID, recalls, strict=True)), own, limit)
    means = dict(zip(GRID, recalls.mean(axis=1), strict=True))
    assert means[best] == max(means.values())
    assert below[found] <= limit
    place = {point: [axis.index(value) for axis, value in zip(AXES, point, strict=True)] for point in GRID}

    def steps(point):
        return sum(abs(one - other) for one, other in zip(place[point], place[own], strict=True))

    def on_the_way(point):
        ends = zip(place[point], place[own], place[best], strict=True)
        return all(min(one, other) <= at <= max(one, other) for at, one, other in ends)

    assert steps(best) == min(steps(point) for point in GRID if means[point] == means[best])
    assert on_the_way(found)
    # By hand: a point nearer to the configured one that lies on the way is clearly worse, by its own t value.
    for point in GRID:
        if on_the_way(point) and steps(point) < steps(found):
            difference = recalls[GRID.index(best)] - recalls[GRID.index(point)]
            assert stats.ttest_1samp(difference, 0).statistic > limit


@settings(max_examples=100, deadline=None)
@given(
    RECALLS,
    arrays(np.float64, len(GRID), elements=st.sampled_from([0.1, 0.2, 0.3, 0.9])),
    st.sampled_from(GRID),
    st.sampled_from([0.01, 0.1, 0.5]),
)
def test_recall_is_given_up_only_for_coverage_and_only_so_much(recalls, coverages, own, share):
    reached = [Found(recall, coverage, len(recall)) for recall, coverage in zip(recalls, coverages, strict=True)]
    found = dict(zip(GRID, reached, strict=True))
    of_choice = {point.choice(): each for point, each in found.items()}
    config = own.choice().applied(CONFIG)
    strict, wide = (chosen_of(found, with_model(config, recall_given_up=given_up)) for given_up in (0.0, share))
    before, after = of_choice[strict.choice], of_choice[wide.choice]
    least = (1 - share) * before.recall.mean()
    assert strict.choice == nearest(dict(zip(GRID, recalls, strict=True)), own, choosing.CLEARLY_WORSE)[0].choice()
    assert after.recall.mean() >= least
    assert after.coverage >= before.coverage
    allowed = [each for each in found.values() if each.recall.mean() >= least]
    assert after.coverage == max(each.coverage for each in allowed)
    equal = [each.recall.mean() for each in allowed if each.coverage == after.coverage]
    assert after.recall.mean() == max(equal)


def test_giving_up_recall_widens_the_lists_of_a_world():
    strict, wide = (
        choose_model(world(1.0, 1.5), with_model(with_prior(FAMILY, fit=True, power=0.5), recall_given_up=share))
        for share in (0.0, 0.2)
    )
    assert wide.tried == strict.tried
    reached = {row.choice: row for row in strict.tried}
    before, after = reached[strict.choice], reached[wide.choice]
    assert after.coverage > before.coverage
    assert 0.8 * before.recall <= after.recall < before.recall
    assert "coverage" in wide.why


CHOICES = st.builds(
    Choice,
    family=st.just("blend"),
    knn_weight=st.sampled_from([0.25, 0.5, 100.0]),
    factors=st.integers(1, 1_024),
    half_life_days=st.just(0.0) | st.floats(0, MOST_DAYS),
    prior_power=st.floats(0, 4),
    prior_half_life_days=st.floats(0.1, MOST_DAYS),
) | st.builds(
    Choice,
    family=st.sampled_from(["als", "knn"]),
    knn_weight=st.just(0.0),
    factors=st.integers(1, 1_024),
    half_life_days=st.just(0.0) | st.floats(0, MOST_DAYS),
    prior_power=st.floats(0, 4),
    prior_half_life_days=st.floats(0.1, MOST_DAYS),
)


@settings(max_examples=60, deadline=None)
@given(CHOICES, CHOICES)
def test_a_choice_of_a_configuration_and_back(choice, other):
    config = choice.applied(CONFIG)
    assert not chooses(config)
    assert choice.applied(config) == config
    assert Choice.of(config) == configured(config).choice() == choice
    assert Choice.of(other.applied(config)) == other
    assert RetrainConfig.from_dict(config.as_dict(), "here") == config
    every = ("fit_family", "fit_factors", "fit_ageing", "fit_similarity")
    asked = with_prior(with_model(config, **dict.fromkeys(every, True)), fit=True)
    assert Choice.of(asked).applied(asked) == config
    own = with_factors(with_prior(config, power=0.2, half_life_days=30.0, fit=True), 16)
    assert replace(own, model=CONFIG.model, encode=CONFIG.encode, knn=CONFIG.knn) == CONFIG


def test_of_what_was_chosen_nothing_else_is_chosen():
    found = choose_model(sets(), FAMILY)
    again = choose_model(sets(), found.choice.applied(FAMILY))
    assert (again.choice, again.tried) == (found.choice, [])


@pytest.mark.parametrize("family", ["als", "blend", "knn"])
def test_what_is_fitted_is_what_is_chosen(family):
    fold, config = sets(), with_ageing(with_model(PRIOR, family=family, fit_ageing=True), half_life_days=3.0)
    found = fit(fold, config)
    fixed = found.chosen.choice.applied(config)
    assert found.chosen == choose_model(fold, config)
    fold = fold.reweighed(fixed.encode)
    assert found.fold.confidence.tobytes() == fold.confidence.tobytes()
    items, popularity = fit_als(fold.matrix, fixed.train)[0], fit_prior(fold.item_interactions, fixed.prior)
    expected = model_of(items, fit_similarities(fold.matrix, fixed.knn), popularity, fixed)
    assert (found.model.similar is None) == (family == "als")
    assert found.model.score(fold.histories).tobytes() == expected.score(fold.histories).tobytes()


@pytest.mark.parametrize(
    ("days", "expected"), [(0.2, [0.1, 0.2, 0.4, 0.8]), (MOST_DAYS, [MOST_DAYS / 4, MOST_DAYS / 2, MOST_DAYS])]
)
def test_no_half_life_is_tried_that_no_run_could_be_given(days, expected):
    found = choose_model(world(1.0, 1.0), with_prior(PRIOR, half_life_days=days)).tried
    assert sorted({row.choice.prior_half_life_days for row in found}) == expected


def test_a_loss_that_is_the_same_for_all_users_is_clear():
    one, other = configured(CONFIG), configured(CONFIG)._replace(power=1.5)
    found, best, below = nearest({one: np.zeros(50), other: np.full(50, 0.5)}, one, 1.645)
    assert found == best == other
    assert below[one] > 1.645
    assert below[other] == 0


def test_where_tastes_last_nothing_ages_and_where_they_pass_ageing_stays():
    lasting, passing = (choose_model(phases(between), AGEING) for between in ("other", "another"))
    assert (lasting.choice.half_life_days, passing.choice.half_life_days) == (0.0, 10.0)
    for found in (lasting, passing):
        assert {row.choice.half_life_days for row in found.tried} == {0.0, 10.0}
    assert {row.clearly_worse for row in lasting.tried if row.choice.half_life_days} == {True}
    assert {row.clearly_worse for row in passing.tried if not row.choice.half_life_days} == {True}


def reached(recall):
    return Found(recall, 0.1, len(recall))


def test_the_reason_says_whether_the_configured_model_is_kept():
    own = configured(CONFIG)
    near, best = own._replace(power=0.5), own._replace(power=1.5)
    noise, clear = np.tile([0.0, 0.5], 50), np.tile([0.0, 0.01], 50)
    kept = {own: reached(noise[::-1]), best: reached(noise + 0.01)}
    moved = {own: reached(clear), near: reached(noise[::-1] + 0.3), best: reached(noise + 0.31)}
    assert chosen_of(kept, CONFIG).why.startswith("as configured, which is not clearly worse than the best: ")
    assert chosen_of(moved, CONFIG).why.startswith(
        "nearest to the configured that is not clearly worse than the best: "
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"power": 0.5}, []),
        ({"power": 0.5, "prior_half_life_days": 7.5}, ["shortest that was tried: a smaller prior_half_life_days"]),
        ({"power": 0.5, "prior_half_life_days": 120.0}, ["longest that was tried: a larger prior_half_life_days"]),
        ({"power": 0.0, "prior_half_life_days": 7.5}, []),
        ({"power": 2.5}, ["its prior power is the largest that was tried: a larger prior_power"]),
        ({"power": 2.5, "prior_half_life_days": 120.0}, ["the longest", "the largest"]),
    ],
)
def test_the_reason_says_where_the_grid_ends(changes, expected):
    own = configured(CONFIG)
    best = own._replace(**changes)
    found = chosen_of({own: reached(np.zeros(50)), best: reached(np.ones(50))}, CONFIG)
    parts = found.why.split("; ")
    assert found.choice == best.choice()
    assert len(parts) == 1 + len(expected)
    assert all(text in part for text, part in zip(expected, parts[1:], strict=True))
    fixed = with_prior(CONFIG, fit=False)
    assert "that was tried" not in chosen_of({own: reached(np.ones(50))}, fixed).why
