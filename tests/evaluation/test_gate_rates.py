"""The gate's rates in simulated worlds of which the truth is known; `benchmarks/gate.py` measures more of them.

Seeds are fixed, so that these cannot fail by chance. They fail where the gate asks for no interval, or for a plain one.
"""

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.gate import LIMIT, plain_promotions, simulate
from benchmarks.recall_worlds import (
    ALIKE,
    BASE_RECALL,
    ONE_STRONG,
    POPULARITIES,
    STRONGEST,
    Resampled,
    against_champion,
    against_popularity,
)

N_WORLDS = 600
ONE = against_popularity(0, ONE_STRONG)
NULLS = {
    "five alike": (against_popularity(0, ALIKE), 300),
    "one strongest, few users": (ONE, 100),
    "one strongest, more users": (ONE, 1_000),
    "resampled": (Resampled(against_popularity(0.3).draw(np.random.default_rng(5), 20_000), 0.0), 300),
}
SMALL_HITS = against_popularity(0, ONE_STRONG, only_heavy=("candidate",))


@pytest.mark.parametrize(("world", "n_users"), NULLS.values(), ids=NULLS)
def test_a_candidate_no_better_than_popularity_is_seldom_promoted(world, n_users):
    promoted = simulate(world, n_users, N_WORLDS, [1]).decisions["PROMOTE"]
    # Exact: were the true rate 5 %, as few promotions as these would come up in less than one run of 20.
    assert binomtest(promoted, N_WORLDS, LIMIT, alternative="less").pvalue < 0.05, promoted


@pytest.mark.parametrize("n_users", [100, 300])
def test_nor_where_its_hits_are_many_and_small_and_the_baselines_few_and_large(n_users):
    assert simulate(SMALL_HITS, n_users, N_WORLDS, [1]).share("PROMOTE") <= LIMIT


def test_the_plain_interval_would_be_too_sure_there():
    assert plain_promotions(SMALL_HITS, 100, N_WORLDS, [1]) > LIMIT


def test_a_truly_better_candidate_is_seen_more_surely_with_more_users():
    shares = [simulate(against_popularity(0.4), n, 60, [2]).share("PROMOTE") for n in (300, 1_000, 3_000, 10_000)]
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert shares[-1] > 0.95


def test_a_candidate_far_worse_than_the_champion_is_not_promoted():
    assert simulate(against_champion(-0.2), 3_000, 80, [3]).share("PROMOTE") <= LIMIT
    assert simulate(against_champion(0.0), 3_000, 80, [3]).share("PROMOTE") > 0.7


def test_generated_worlds_have_the_recall_they_claim():
    drawn = against_popularity(0.4, ONE_STRONG, only_heavy=("candidate",)).draw(np.random.default_rng(1), 400_000)
    claimed = {"candidate": 1.4, **dict(zip(POPULARITIES, ONE_STRONG, strict=True))}
    for name, share in claimed.items():
        error = drawn[name].std() / np.sqrt(len(drawn[name]))
        assert drawn[name].mean() == pytest.approx(BASE_RECALL * share, abs=4 * error), name


@pytest.mark.parametrize("lift", [0.0, 0.1])
def test_resampled_worlds_have_the_lift_they_claim(lift):
    recalls = against_popularity(0.4, ONE_STRONG).draw(np.random.default_rng(5), 20_000)
    world = Resampled(recalls, lift)
    assert world.strongest == STRONGEST
    drawn = world.draw(np.random.default_rng(1), 1_000_000)
    difference = drawn["candidate"] - (1 + lift) * drawn[STRONGEST]
    assert difference.mean() == pytest.approx(0, abs=4 * difference.std() / 1_000)
    with pytest.raises(ValueError, match="at most"):
        Resampled(recalls, 2.0).draw(np.random.default_rng(1), 10)
