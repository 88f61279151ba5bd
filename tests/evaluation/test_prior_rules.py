"""The test against which the rule that learns the prior is measured (benchmarks/prior_rules.py)."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmarks import prior_rules
from benchmarks.prior_rules import LEVEL, critical
from include.recommender.evaluation.learn_prior import nearest

from .test_learn_prior import GRID, PLACE


def test_what_is_clear_by_all_sign_flips_of_ten_users(monkeypatch):
    recalls = np.random.default_rng(3).standard_normal((len(GRID), 10))
    own = GRID[4]
    flips = np.array(list(product([-1, 1], repeat=10)))
    differences = np.delete(recalls - recalls[4], 4, axis=0)
    largest = [stats.ttest_1samp(differences * signs, 0, axis=1).statistic.max() for signs in flips]
    monkeypatch.setattr(prior_rules, "FLIPS", 20_000)
    found = critical(dict(zip(GRID, recalls, strict=True)), own, 7)
    assert found == pytest.approx(np.quantile(largest, 1 - LEVEL), rel=0.03)


def test_a_point_among_equals_is_clearly_worse_as_often_as_promised():
    """The points have something in common, as rankings of the same taste have."""
    rng = np.random.default_rng(5)
    moved = 0
    for _ in range(400):
        recalls = rng.random((1, 80)) + rng.normal(size=(len(GRID), 80)) * (rng.random((len(GRID), 80)) < 0.3)
        named = dict(zip(GRID, recalls, strict=True))
        found, *_ = nearest(named, PLACE, GRID[4], critical(named, GRID[4], 7))
        moved += found != GRID[4]
    # Four standard errors of 400 draws.
    assert abs(moved / 400 - LEVEL) < 4 * (LEVEL * (1 - LEVEL) / 400) ** 0.5
