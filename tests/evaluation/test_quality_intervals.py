"""The intervals of benchmarks/quality.py: whole users drawn, and splits taken for a sample."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.quality import COMPARED, by_split, by_user, gains, split_means
from include.recommender.config import RetrainConfig
from include.recommender.models.choice import Choice

CONFIG = RetrainConfig.from_params({})
SPLITS = [0.004, 0.011, -0.002, 0.019, 0.007]


def test_of_cuts_it_is_students_interval_and_one_more_lies_wider():
    mean, spread = np.mean(SPLITS), np.std(SPLITS, ddof=1)
    of_mean, of_next = by_split(SPLITS, CONFIG)
    assert of_mean == pytest.approx(stats.t.interval(0.95, len(SPLITS) - 1, mean, spread / len(SPLITS) ** 0.5))
    assert of_next == pytest.approx(
        stats.t.interval(0.95, len(SPLITS) - 1, mean, spread * (1 + 1 / len(SPLITS)) ** 0.5)
    )


def test_a_user_judged_at_two_cuts_is_no_second_user():
    rng = np.random.default_rng(1)
    differences, users = rng.normal(0.02, 0.1, 400), np.arange(400)
    low, high = by_user(differences, users, CONFIG)
    assert (low, high) == pytest.approx(stats.norm.interval(0.95, differences.mean(), stats.sem(differences)), abs=1e-3)
    twice = by_user(np.tile(differences, 2), np.tile(users, 2), CONFIG)
    assert twice == pytest.approx((low, high), abs=1e-3)
    apart = by_user(np.tile(differences, 2), np.arange(800), CONFIG)
    assert apart[1] - apart[0] == pytest.approx((high - low) / 2**0.5, rel=0.1)


def test_the_tables_over_time_are_means_over_users_and_over_splits():
    recalls = [[0.5, 0.25, 0.25, 0.0, 0.0], [0.0, 0.0, 0.25, 0.5, 0.0], [1.0, 0.5, 0.0, 1.0, 0.5]]
    users = pd.DataFrame(recalls, columns=COMPARED)
    users["user"] = [7, 8, 7]
    users.index = pd.MultiIndex.from_tuples([(0, 0), (0, 1), (1, 0)], names=["split", None])
    found = gains(users, CONFIG)
    assert found["all"].tolist() == pytest.approx([0.25, 1 / 3, 0.0, 1 / 3])
    assert found["mean of splits"].tolist() == pytest.approx(
        [(0.125 + 0.5) / 2, (0.0 + 1.0) / 2, 0.0, (0.25 + 0.5) / 2]
    )
    choice = Choice.of(RetrainConfig())
    verdicts = {"2018-01-01": "HOLD", "2018-02-01": "PROMOTE"}
    trials = [
        SimpleNamespace(day=day, chosen=SimpleNamespace(choice=choice), verdict=SimpleNamespace(decision=decision))
        for day, decision in verdicts.items()
    ]
    table = split_means(trials, users)
    assert table.index.tolist() == ["2018-01-01", "2018-02-01", "all"]
    assert table["users"].tolist() == [2, 1, 3]
    assert table["knn_weight"].tolist()[:2] == [0.5, 0.5]
    assert table["candidate"].tolist() == pytest.approx([0.25, 1.0, 0.5])
    assert table.loc["2018-02-01", "ratio"] == 2.0
    assert table["verdict"].tolist() == ["HOLD", "PROMOTE", ""]
