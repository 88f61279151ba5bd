"""The search is a pure function of seed and results, learns, and stops what has no hope."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import RetrainConfig, TuneConfig
from include.recommender.parameters.of_search import SPACE
from include.recommender.tuning.records import TrialResult
from include.recommender.tuning.space import inside, values_of
from include.recommender.tuning.study import ask, best_of, hopeless, importances, least_coverage

from ..documents import changed

NAMES = ["alpha", "prior_power"]
DEFAULTS = values_of(RetrainConfig(), NAMES)
CONFIG = TuneConfig()


def result(number, values, objective, coverage=0.2, pruned=False):
    return TrialResult(
        number=number,
        values=values,
        recalls=[objective],
        objective=objective,
        coverage=coverage,
        pruned=pruned,
        seconds=1.0,
        artifacts=[],
    )


def landscape(values):
    """Best at alpha 200, prior_power 0.9."""
    return 1 - abs(np.log(values["alpha"] / 200)) / 4 - abs(values["prior_power"] - 0.9) / 2


FAMILIES = {"family": "blend", "alpha": 100.0}


def of_family(values):
    """Best with item-kNN alone at alpha 200."""
    return {"knn": 0.5, "als": 0.3, "blend": 0.0}[values["family"]] - abs(np.log(values["alpha"] / 200)) / 20


def search(n, config=CONFIG, at_once=2, defaults=DEFAULTS, judged=landscape):
    results = []
    while len(results) < n:
        asked = ask(results, defaults, at_once, config)
        results += [result(len(results) + at, values, judged(values)) for at, values in enumerate(asked)]
    return results


def test_the_first_trial_are_the_defaults_and_the_rest_lie_in_the_space():
    asked = ask([], DEFAULTS, 5, CONFIG)
    assert asked[0] == DEFAULTS
    assert all(inside(values) and list(values) and set(values) == set(NAMES) for values in asked)


def test_the_same_results_get_the_same_question_and_another_seed_another():
    results = search(14)
    assert search(14) == results
    assert search(18)[:14] == results
    assert search(14, replace(CONFIG, seed=6))[1:] != results[1:]


def test_it_learns():
    results = search(40)
    early, late = (np.mean([row.objective for row in part]) for part in (results[1:11], results[-10:]))
    assert late > early + 0.1
    assert best_of(results, CONFIG).objective > 0.9


def test_it_learns_a_family():
    results = search(30, defaults=FAMILIES, judged=of_family)
    families = [row.values["family"] for row in results]
    assert set(families) == {"blend", "als", "knn"}
    assert families[-10:].count("knn") > 5
    assert best_of(results, CONFIG).values["family"] == "knn"
    assert search(30, defaults=FAMILIES, judged=of_family) == results
    shares = importances(results, list(FAMILIES), CONFIG)
    assert (set(shares), sum(shares.values())) == ({"family", "alpha"}, pytest.approx(1))


def test_a_winner_covers_enough():
    results = [
        result(0, DEFAULTS, 0.3, coverage=0.4),
        result(1, {"alpha": 50.0, "prior_power": 1.4}, 0.5, coverage=0.1),
        result(2, {"alpha": 50.0, "prior_power": 0.4}, 0.4, coverage=0.25),
    ]
    assert least_coverage(results, CONFIG) == 0.2
    assert best_of(results, CONFIG).number == 2
    assert best_of(results, replace(CONFIG, min_coverage=0.0)).number == 1
    assert best_of([changed(results[2], pruned=True)], CONFIG) is None


def test_values_outside_the_space_do_not_stop_the_search():
    wild = {"alpha": SPACE["alpha"].high * 5, "prior_power": 0.2}
    assert len(ask([result(0, wild, 0.3)], wild, 3, CONFIG)) == 3
    unknown = {**FAMILIES, "family": "svd"}
    assert len(ask([result(0, unknown, 0.3)], unknown, 3, CONFIG)) == 3


def test_a_trial_is_hopeless_only_where_the_difference_is_sure():
    rng = np.random.default_rng(3)
    best = (rng.random(2_000) < 0.06).astype(float)
    worse = best * (rng.random(2_000) < 0.5)
    alike = rng.permutation(best)
    assert hopeless([worse], [best, best], CONFIG).high < 0
    assert hopeless([alike], [best, best], CONFIG) is None
    assert hopeless([best, best], [worse, worse], CONFIG) is None


def test_importance_names_what_matters():
    results = [row for row in search(40)]
    flat = [changed(row, objective=landscape({**row.values, "prior_power": 0.9})) for row in results]
    found = importances(flat, NAMES, CONFIG)
    assert found["alpha"] > found["prior_power"]
    assert sum(found.values()) == pytest.approx(1)
    assert importances(results[:2], NAMES, CONFIG) == {}
