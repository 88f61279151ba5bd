"""The text table and the model card."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from include.recommender.config import GateConfig, RetrainConfig
from include.recommender.evaluation.chosen import ChosenModel, TriedModel
from include.recommender.evaluation.gate import decide
from include.recommender.models.choice import Choice
from include.recommender.registry.verdict import Interval
from include.recommender.reporting.card import Card, render_card
from include.recommender.reporting.checks import checks
from include.recommender.reporting.tables import WIDTH, render_verdict

from ..documents import fold_counts

CHOICE = Choice(
    family="als",
    knn_weight=0.0,
    knn_similarity="bm25",
    factors=12,
    half_life_days=120.0,
    prior_power=0.0,
    prior_half_life_days=30.0,
)
MEANS = {f"{name}@10": 0.5 for name in ("recall", "ndcg", "map", "mrr", "hit_rate", "coverage")}


def choice(**fields):
    return replace(CHOICE, **fields)


def judged(**recalls):
    return {name: MEANS | {"recall@10": recall} for name, recall in recalls.items()}


def verdict_of(recalls, **gate):
    config = GateConfig(resamples=1000, **gate)
    others = {name: Interval(0.1, -0.05, 0.2) for name in recalls if name != "candidate"}
    return replace(decide(recalls, 10, config), intervals=others)


def some_recalls(candidate=0.5, popularity=0.2, n=200, **others):
    rng = np.random.default_rng(1)
    means = {"candidate": candidate, "popularity_30d": popularity, "popularity_all_time": popularity / 2}
    means |= {name: mean for name, mean in others.items() if mean is not None}
    return {name: (rng.random(n) < mean).astype(float) for name, mean in means.items()}


def test_models_stand_best_first_with_the_baseline_marked():
    verdict = verdict_of(some_recalls())
    text = render_verdict(judged(popularity_30d=0.2, popularity_all_time=0.1, candidate=0.5), verdict)
    rows = text.splitlines()[2:5]
    assert [row.split()[0] for row in rows] == ["candidate", "popularity_30d", "popularity_all_time"]
    assert rows[1].startswith("popularity_30d *")
    assert rows[1].split()[-4:] == ["(-0.0500,", "+0.2000)", "+50.0", "%"]
    assert rows[1].split()[-5] == "+0.1000"
    assert "(" not in rows[0]
    assert "Verdict: PROMOTE" in text


def test_every_threshold_that_decided_is_named():
    text = render_verdict(
        judged(popularity_30d=0.2, candidate=0.5), verdict_of(some_recalls(champion=0.9), min_users=150)
    )
    assert "Verdict: REJECT" in text
    for words in ("at least 150", "95 % interval", "at least +5.0 %", "not below -5.0 %"):
        assert words in text
    assert "  missed  minus the champion" in text
    assert "  passed  judged users" in text


def test_why_there_is_no_champion_in_the_comparison_is_reported():
    shown, verdict = judged(popularity_30d=0.2, candidate=0.5), verdict_of(some_recalls())
    text = render_verdict(shown, verdict, "20180901-abc is this very candidate")
    assert "champion: 20180901-abc is this very candidate" in " ".join(text.split())
    assert "not compared" in render_verdict(shown, verdict)
    assert "95%" not in text


@pytest.mark.parametrize("forced", [None, "because " * 60])
def test_no_line_is_wider_than_a_terminal(forced):
    wide = verdict_of(some_recalls(champion=0.9, plain_als=0.9, item_knn=0.9), champion_tolerance=0.01)
    wide = replace(wide, forced=forced, reasons=["a long reason " * 20])
    text = render_verdict(judged(popularity_30d=0.2, popularity_all_time=0.1, champion=0.9, candidate=0.5), wide)
    assert max(map(len, text.splitlines())) <= 120
    assert max(map(len, text.partition("Verdict:")[2].splitlines())) <= WIDTH


def test_a_baseline_without_a_hit_leaves_no_lift_to_tell():
    recalls = some_recalls(popularity=0.0)
    text = render_verdict(judged(popularity_30d=0.0, candidate=0.5), verdict_of(recalls))
    assert "it has no hit" in text


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.sampled_from([20, 99, 100, 400]),
    st.floats(0, 0.5),
)
def test_the_checks_agree_with_the_gate(candidate, popularity, champion, rival, n, lift):
    recalls = some_recalls(candidate, popularity, n, champion=champion, item_knn=rival)
    verdict = verdict_of(recalls, min_relative_lift=lift)
    missed = [check.name for check in checks(verdict) if check.passed is False]
    assert (verdict.decision == "PROMOTE") == (missed == [])


def test_the_card_says_what_was_judged_and_what_was_published():
    config = RetrainConfig.from_params({"factors": 12})
    about = {
        "model_id": "20180901-abc",
        "snapshot": "2018-08-27",
        "as_of": "2018-09-01T00:00:00+00:00",
        "config": config.as_dict(),
        "choice": choice(prior_power=0.0),
        "run": "manual__1",
        "code_version": "0123456789ab",
        "libraries": {"numpy": "2", "implicit": "0.7.3"},
    }
    whole = Card(
        about=about,
        metrics=judged(popularity_30d=0.2, candidate=0.5),
        verdict=verdict_of(some_recalls()),
        champion=None,
        judged=fold_counts(holdout=1000, train=9000, split_s=1_530_000_000, cold_users=12, cold_items=3),
        published=fold_counts(train=10_000, train_users=400, train_items=120),
    )
    card = render_card(whole)
    assert card.startswith("# Model 20180901-abc\n")
    for words in ("12 factors", "newest 1,000 interactions", "2018-06-26 08:00 UTC", "all 10,000", "implicit 0.7.3"):
        assert words in card
    assert "Verdict: PROMOTE" in card
    assert "recent popularity" not in card
    assert "Why this one" not in card
    unaged = render_card(dataclasses.replace(whole, about=about | {"choice": choice(half_life_days=0.0)}))
    assert set(unaged.splitlines()) - set(card.splitlines()) == {"Interactions of any age count the same."}
    with_prior = about | {"choice": choice(prior_power=0.35, prior_half_life_days=15.0)}
    known = render_card(dataclasses.replace(whole, about=with_prior))
    end = "half-life 15 days, over that of the strongest) to the power 0.35"
    assert f"{end},\nwhich is higher for users with few interactions.\n" in known
    plain_prior = with_prior | {"config": RetrainConfig.from_params({"prior_short_history": 0.0}).as_dict()}
    assert f"{end}.\n" in render_card(dataclasses.replace(whole, about=plain_prior))
    assert "&" not in card
    assert max(map(len, card.splitlines())) <= 130
    assert card == render_card(whole)


ALS_TEXT = "It is ALS with 12 factors. It scores an item for a user by the inner product of their factors."
KNN_TEXT = (
    "It is item-kNN with the 70 nearest neighbours of each item by TF-IDF. It scores an item for a user by the sum, "
    "over the history, of confidence times similarity. ALS with 12 factors orders the items that no neighbour speaks "
    "for."
)
LEARNED = "50 nearest neighbours of each item by BM25, weighed by ridge regressions (EASE, regularization 300)"
BLEND_TEXT = (
    "It is the sum of ALS with 12 factors and item-kNN with the 70 nearest neighbours of each item by TF-IDF. ALS "
    "scores an item for a user by the inner product of their factors, item-kNN by the sum, over the history, of "
    "confidence times similarity. For each user both are scaled to a root mean square of 1 over all items. Item-kNN "
    "then has weight 0.25."
)


@pytest.mark.parametrize(
    ("family", "weight", "similarity", "expected"),
    [
        ("als", 0.0, "bm25", ALS_TEXT),
        ("knn", 0.0, "tfidf", KNN_TEXT),
        ("blend", 0.25, "tfidf", BLEND_TEXT),
        ("blend", 0.25, "ease", BLEND_TEXT.replace("70 nearest neighbours of each item by TF-IDF", LEARNED)),
    ],
)
def test_the_card_describes_the_family_and_why_it_was_chosen(family, weight, similarity, expected):
    own = choice(family=family, knn_weight=weight, knn_similarity=similarity)
    params = {"factors": 99, "knn_similarity": "cosine", "knn_neighbours": 70}
    about = {
        "model_id": "20180901-abc",
        "snapshot": "2018-08-27",
        "as_of": "2018-09-01T00:00:00+00:00",
        "config": RetrainConfig.from_params(params).as_dict(),
        "choice": own,
        "run": "manual__1",
        "code_version": "0123456789ab",
        "libraries": {"numpy": "2"},
    }
    tried = TriedModel(choice=own, recall=0.1, coverage=0.1, errors_below=0.0, clearly_worse=False, judged_users=7)
    why = "the best of those tried; the largest coverage at 98.0% of its recall"
    card = Card(
        about=about,
        metrics=judged(popularity_30d=0.2, candidate=0.5),
        verdict=verdict_of(some_recalls()),
        champion=None,
        judged=fold_counts(),
        published=fold_counts(),
        chosen=ChosenModel(choice=own, why=why, judged_users=1234, listed_users=1000, tried=[tried] * 1000),
    )
    text = render_card(card)
    said = " ".join(text.partition("## Judged")[0].split())
    assert expected in said
    assert (
        "Why this one, of 1,000 tried on up to 1,234 users of a time split inside train: the best of those tried;"
        in said
    )
    assert "at 98.0 % of its recall." in said
    assert max(map(len, text.splitlines())) <= 130
    fixed = ChosenModel(choice=own, why="as configured", judged_users=0, listed_users=0, tried=[])
    assert "\nWhy this one: as configured.\n" in render_card(dataclasses.replace(card, chosen=fixed))


def test_each_rival_has_a_threshold_of_its_own():
    recalls = some_recalls(candidate=0.5, plain_als=0.95, item_knn=0.1)
    text = render_verdict(judged(**dict.fromkeys(recalls, 0.5)), verdict_of(recalls))
    assert "Verdict: REJECT: worse than plain ALS: the interval" in text
    rows = {line.split("  ")[2]: line for line in text.splitlines() if "not all below 0" in line}
    assert list(rows) == ["95 % interval, minus item-kNN", "95 % interval, minus plain ALS"]
    assert rows["95 % interval, minus item-kNN"].startswith("  passed  ")
    assert rows["95 % interval, minus plain ALS"].startswith("  missed  ")
    assert all("  Recall@10  " in row for row in rows.values())
    assert [line.split()[0] for line in text.splitlines() if line.startswith(("plain_als", "item_knn"))] == [
        "item_knn",
        "plain_als",
    ]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(-0.02, -0.01, "missed"), (-0.02, 0.0, "passed"), (-0.01, 0.02, "passed"), (0.01, 0.02, "passed")],
)
def test_only_an_interval_below_0_misses_the_threshold_of_a_rival(low, high, outcome):
    verdict = replace(verdict_of(some_recalls()), rivals={"item_knn": Interval((low + high) / 2, low, high)})
    (row,) = (row for row in checks(verdict) if "item-kNN" in row.name)
    assert (row.outcome, row.found) == (outcome, f"({low:+.4f}, {high:+.4f})")
