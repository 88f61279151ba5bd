"""The test against which the rule that learns the prior is measured (benchmarks/prior_rules.py)."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmarks import prior_rules
from benchmarks.prior_rules import LEVEL, Split, critical, report
from include.recommender.data.inner import inner_fold
from include.recommender.evaluation.learn_prior import (
    CLEARLY_WORSE,
    MAX_INTERACTIONS,
    grid,
    grid_recalls,
    learn_prior,
    nearest,
)

from .test_learn_prior import CONFIG, GRID, PLACE, world


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


def test_the_rule_that_is_used_chooses_what_a_training_learns():
    fold, own = world(0.0, 3.0), (CONFIG.prior.half_life_days, CONFIG.prior.power)
    inner = inner_fold(fold, CONFIG.encode, MAX_INTERACTIONS, CONFIG.train.seed)
    points = list(grid(CONFIG.prior))
    split = Split(grid_recalls(inner, points, CONFIG), grid_recalls(fold, points, CONFIG))
    learned = learn_prior(fold, CONFIG)
    chosen = split.chosen(CONFIG, CLEARLY_WORSE)
    assert chosen == (learned.half_life_days, learned.power) != own
    # Where too few users are there to learn from, nothing is.
    assert Split(None, split.holdout).chosen(CONFIG, 0.0) == own
    output = report([split, Split(None, split.holdout)], CONFIG)
    both = np.concatenate([split.holdout[chosen], split.holdout[own]]).mean()
    (row,) = (line for line in output.splitlines() if line.startswith("1.645"))
    assert (row.split()[2], row.split()[5]) == (f"{both:.4f}", "1")
