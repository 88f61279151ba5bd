"""The gate's reference, the strongest popularity, and the words for how a candidate compares."""

import numpy as np
import pytest
from msgspec.structs import replace

from include.recommender.config import GateConfig, RetrainConfig
from include.recommender.errors import ConfigError
from include.recommender.evaluation.comparison_text import against_reference
from include.recommender.evaluation.gate import best_reference, decide, strongest_popularity
from include.recommender.registry.verdict import ComparedVersion
from include.recommender.reporting.sentence import verdict_sentence

POPULAR = ["popularity_30d", "popularity_365d", "popularity_90d", "popularity_all_time", "popularity_decayed"]
CONFIG = GateConfig()


def hits(share, n=2_000):
    """Recall 1 of the first users, so that two of them differ by just the users between."""
    return (np.arange(n) < round(share * n)).astype(float)


def judged(candidate, **versions):
    shares = {"candidate": candidate, "popularity_all_time": 0.05, **versions}
    return decide({name: hits(share) for name, share in shares.items()}, 10, CONFIG)


def promoted_in_a_row(shares, keep_earlier):
    """Shares that are promoted one after the other, each judged against the champion, or against all before it."""
    live: list[float] = []
    for share in shares:
        versions = {"champion": live[-1]} if live else {}
        if keep_earlier:
            versions |= {f"earlier_{number}": each for number, each in enumerate(reversed(live[:-1]), 1)}
        if judged(share, **versions).decision == "PROMOTE":
            live.append(share)
    return live


def test_losses_that_are_tolerated_one_by_one_do_not_add_up():
    falling = [0.18, 0.174, 0.168, 0.162]  # each within 5 % of the one before
    assert promoted_in_a_row(falling, keep_earlier=False) == falling
    assert promoted_in_a_row(falling, keep_earlier=True) == falling[:2]


def test_the_refusal_names_the_version_and_how_far_below_it_the_candidate_is():
    verdict = judged(0.168, champion=0.174, earlier_1=0.18)
    assert (verdict.reference, verdict.champion_recall) == ("earlier_1", 0.174)
    assert verdict.decision == "REJECT"
    earlier = ComparedVersion(name="earlier_1", model_id="20180902-b", how="published", note="live earlier")
    assert verdict_sentence(replace(verdict, versions=[earlier])) == (
        "REJECT: worse than the best recent version (20180902-b): 6.7 % below it, champion_tolerance=5.0 %"
    )


def test_a_promotion_below_the_champion_is_not_headlined_as_better_than_popularity_alone():
    output = verdict_sentence(judged(0.1755, champion=0.18))
    assert output.startswith("PROMOTE: 2.5 % below the champion, within tolerance; better than popularity, all time by")


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (0.01, 0.002, 0.02, "10.0% better than the champion"),
        (0.01, -0.002, 0.02, "10.0% above the champion, not distinguishable from it"),
        (0.0, -0.01, 0.01, "as good as the champion"),
        (-0.003, -0.01, 0.01, "3.0% below the champion, within tolerance, not distinguishable from it"),
        (-0.003, -0.005, -0.001, "3.0% below the champion, within tolerance"),
    ],
)
def test_better_is_said_only_where_the_interval_says_so(mean, low, high, text):
    assert against_reference("champion", recall=0.1, mean=mean, low=low, high=high) == text


def test_a_champion_without_a_hit_gives_no_relative_number():
    verdict = judged(0.2, champion=0.0)
    assert verdict.decision == "PROMOTE"
    assert "the champion has no hit" in verdict.reasons


def test_of_equal_versions_the_champion_is_the_reference_then_the_newest():
    assert best_reference({"champion": 0.1, "earlier_1": 0.1}) == "champion"
    assert best_reference({"earlier_10": 0.1, "earlier_2": 0.1}) == "earlier_2"
    assert best_reference({"candidate": 0.1}) is None


def test_the_interval_against_the_best_of_several_is_wider():
    one = judged(0.17, champion=0.18)
    three = judged(0.17, champion=0.18, earlier_1=0.17, earlier_2=0.17)
    assert one.reference_level == pytest.approx(0.95)
    assert three.reference_level == pytest.approx(1 - 0.05 / 3)
    assert three.against_reference.high > one.against_reference.high
    assert three.against_champion == one.against_champion


@pytest.mark.parametrize(
    ("best", "named"),
    [
        (POPULAR, "popularity_all_time"),
        (["popularity_30d", "popularity_90d"], "popularity_90d"),
        (["popularity_30d", "popularity_decayed"], "popularity_30d"),
        (["popularity_365d", "popularity_90d", "popularity_decayed"], "popularity_365d"),
        (["popularity_decayed"], "popularity_decayed"),
    ],
)
@pytest.mark.parametrize("recall", [0.0, 0.1])
def test_of_equal_popularities_all_time_is_the_strongest_then_the_longest_window(best, named, recall):
    weaker = -1.0  # below all
    means = {name: recall if name in best else weaker for name in POPULAR}
    assert strongest_popularity(means) == named
    assert strongest_popularity(dict(reversed(means.items()))) == named


def test_the_last_bits_of_a_sum_decide_nothing():
    assert strongest_popularity({"popularity_30d": 0.1 + 1e-17 + 2e-16, "popularity_all_time": 0.1}) == (
        "popularity_all_time"
    )


@pytest.mark.parametrize(("level", "least"), [(0.95, 10_000), (0.98, 10_000), (0.99, 20_000), (0.999, 200_000)])
def test_a_very_sure_interval_needs_resamples_beyond_its_ends(level, least):
    given = {"confidence_level": level, "resamples": least}
    assert RetrainConfig.from_params(given).gate.resamples == least
    with pytest.raises(ConfigError, match="resamples"):
        RetrainConfig.from_params(given | {"resamples": least - 1})
    if least > 10_000:
        with pytest.raises(ConfigError, match=f"expected at least {least} at confidence_level={level:g}"):
            RetrainConfig.from_params({"confidence_level": level})
