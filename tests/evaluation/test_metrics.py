"""Metrics by hand, and the gate."""

import json

import numpy as np
import pytest

from include.recommender.config import GateConfig
from include.recommender.evaluation.gate import decide, paired_bootstrap, paired_interval
from include.recommender.evaluation.metrics import per_user


def test_metrics_by_hand():
    # Held out: 4 items. Ranks 1 and 3 of the top 3 hit.
    values = per_user(np.array([[True, False, True]]), np.array([4], dtype=np.int32), 3)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert values["recall"][0] == pytest.approx(2 / 4)
    assert values["ndcg"][0] == pytest.approx((1 + 1 / np.log2(4)) / ideal)
    assert values["map"][0] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert values["mrr"][0] == 1.0
    assert values["hit_rate"][0] == 1.0


def recalls(candidate, popularity):
    return {"candidate": np.asarray(candidate, float), "popularity_all_time": np.asarray(popularity, float)}


def test_gate_promotes_holds_and_rejects():
    rng = np.random.default_rng(1)
    base = (rng.random(2000) < 0.05).astype(float)
    better = np.maximum(base, rng.random(2000) < 0.05)
    assert decide(recalls(better, base), 10, GateConfig()).decision == "PROMOTE"
    assert decide(recalls(base, better), 10, GateConfig()).decision == "REJECT"
    assert decide(recalls(base, base), 10, GateConfig()).decision == "HOLD"
    assert decide(recalls(better[:50], base[:50]), 10, GateConfig()).decision == "HOLD"


def test_gate_rejects_a_candidate_worse_than_the_champion():
    rng = np.random.default_rng(1)
    base = (rng.random(2000) < 0.05).astype(float)
    better = np.maximum(base, rng.random(2000) < 0.05)
    best = np.maximum(better, rng.random(2000) < 0.1)
    assert decide({**recalls(better, base), "champion": best}, 10, GateConfig()).decision == "REJECT"


def test_bootstrap_agrees_with_drawing_users():
    rng = np.random.default_rng(3)
    differences = rng.choice([-0.5, 0.0, 0.25, 1.0], 400)
    ours = paired_bootstrap(differences, GateConfig())
    drawn = differences[rng.integers(0, 400, (10_000, 400))].mean(axis=1)
    assert ours.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.005)
    assert ours.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.005)


def test_a_baseline_without_a_hit_gives_no_lift_and_valid_json():
    rng = np.random.default_rng(1)
    candidate = (rng.random(500) < 0.2).astype(float)
    verdict = decide(recalls(candidate, candidate * 0), 10, GateConfig())
    assert (verdict.decision, verdict.relative_lift) == ("PROMOTE", None)
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_what_is_no_number_is_never_promoted():
    candidate = np.full(500, np.nan)
    assert decide(recalls(candidate, np.zeros(500)), 10, GateConfig()).decision == "HOLD"


def test_the_strongest_popularity_is_the_baseline():
    rng = np.random.default_rng(1)
    base = (rng.random(2000) < 0.05).astype(float)
    better = np.maximum(base, rng.random(2000) < 0.05)
    verdict = decide({**recalls(better, base), "popularity_30d": better}, 10, GateConfig())
    assert (verdict.baseline, verdict.decision) == ("popularity_30d", "HOLD")


def test_a_small_lift_is_held_however_certain():
    base = np.tile([0.0, 1.0], 5_000)
    better = base.copy()
    better[:200:2] = 1
    verdict = decide(recalls(better, base), 10, GateConfig(min_relative_lift=0.05))
    assert verdict.against_popularity.low > 0
    assert verdict.decision == "HOLD"
    assert "min_relative_lift" in verdict.reasons[0]


def test_a_loss_to_the_champion_within_the_tolerance_is_accepted():
    champion = np.tile([0.0, 1.0], 500)
    candidate = champion.copy()
    candidate[1:41:2] = 0
    judged = {**recalls(candidate, champion * 0), "champion": champion}
    assert decide(judged, 10, GateConfig(champion_tolerance=0.05)).decision == "PROMOTE"
    assert decide(judged, 10, GateConfig(champion_tolerance=0.03)).decision == "REJECT"


def test_bootstrap_is_repeatable_and_degenerate_without_differences():
    differences = np.random.default_rng(3).choice([-0.5, 0.0, 1.0], 400)
    assert paired_bootstrap(differences, GateConfig()) == paired_bootstrap(differences, GateConfig())
    nothing = paired_bootstrap(np.zeros(400), GateConfig())
    assert (nothing.mean, nothing.low, nothing.high) == (0, 0, 0)


def test_the_gates_interval_counts_two_users_more_one_for_each_of_the_largest_differences():
    rng = np.random.default_rng(3)
    candidate, other = (rng.choice([0.0, 0.5, 1.0], 50, p=[0.9, 0.05, 0.05]) for _ in range(2))
    users = np.concatenate([candidate - other, [1.0, -1.0]])
    found = paired_interval(candidate, other, GateConfig())
    drawn = users[rng.integers(0, 52, (10_000, 52))].mean(axis=1)
    assert found.mean == (candidate - other).mean()
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.005)


def test_nobody_hit_is_no_proof_that_two_are_the_same():
    found = paired_interval(np.zeros(400), np.zeros(400), GateConfig())
    assert found.low < 0 < found.high
