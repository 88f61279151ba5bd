"""The steps of a search on a real store."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import RetrainConfig, TuneConfig
from include.recommender.evaluation.choose import choose_model
from include.recommender.models.choice import Choice
from include.recommender.parameters import RETRAIN
from include.recommender.registry.verdict import Interval
from include.recommender.stages import prepare
from include.recommender.storage.artifacts import Artifact
from include.recommender.storage.documents import plain
from include.recommender.tuning import confirmation
from include.recommender.tuning.confirmation import choose, recommends_better
from include.recommender.tuning.records import TrialRequest, TrialResult
from include.recommender.tuning.space import applied, differing
from include.recommender.tuning.steps import judge_at, plan, recall_of, run_trial
from include.recommender.tuning.trial import judge_configuration
from include.recommender.tuning.tuned import read_tuned, with_tuned, write_tuned

from .. import worlds
from ..candidates import JULY
from ..documents import CHOICE, changed, evidence
from ..evaluation.taste_worlds import CONFIG, world

BASE = RetrainConfig.from_params({"iterations": 5, "factors": 16, "prior_power": 0.1, "fit_prior": False})
SEARCH = TuneConfig(splits=2)
DEFAULTS = {name: each.plain_default for name, each in RETRAIN.items()}


def trial(number, values, objective, artifacts):
    return TrialResult(
        number=number,
        values=values,
        recalls=[objective],
        objective=objective,
        coverage=0.4,
        pruned=False,
        seconds=1.0,
        artifacts=artifacts,
    )


def judged(name, coverage):
    counts = {"recall": 0.1, "coverage": coverage, "choice": plain(CHOICE)}
    return Artifact(stage="tune_trial", fingerprint=name, uri=name, files={}, counts=counts)


@pytest.fixture
def planned(workspace):
    workspace.snapshots.write("2018-06-25/reviews.jsonl.gz", worlds.packed(worlds.reviews(n_users=300)))
    downloaded = prepare.download_reviews(workspace, prepare.resolve_snapshot(workspace, None, JULY).artifact).artifact
    parsed = prepare.parse_reviews(workspace, downloaded, BASE.parse).artifact
    return plan(workspace, parsed, JULY, ["prior_power"], BASE, SEARCH)


def test_holdouts_follow_each_other_up_to_the_split_of_a_retraining(planned):
    *searched, newest = planned.holdouts
    assert len(searched) == len(planned.folds) == SEARCH.splits
    in_time = [*searched[::-1], newest]
    assert all(begin < end for begin, end in in_time)
    assert [end for _, end in in_time[:-1]] == [begin for begin, _ in in_time[1:]]
    assert newest[1] == planned.split_s


def test_a_trial_without_hope_is_stopped_after_the_first_split(workspace, planned):
    default = run_trial(workspace, planned, TrialRequest(0, planned.defaults), [], base=BASE, config=SEARCH)
    assert (len(default.recalls), default.pruned) == (2, False)
    # Taste rules in this world; such a prior recommends the same to everybody.
    poor = run_trial(workspace, planned, TrialRequest(1, {"prior_power": 1.5 * 2}), [default], base=BASE, config=SEARCH)
    assert (len(poor.recalls), poor.pruned) == (1, True)
    alike = run_trial(workspace, planned, TrialRequest(2, {"prior_power": 0.11}), [default], base=BASE, config=SEARCH)
    assert (len(alike.recalls), alike.pruned) == (2, False)


@pytest.mark.parametrize(
    "values", [{"family": "knn"}, {"family": "als", "factors": 512}, {"knn_weight": 2.0}, {"knn_neighbours": 20}]
)
def test_the_winner_reproduces_its_trial(workspace, planned, values):
    """As a retraining takes it: through the stored configuration, and fixed to what the trial chose."""
    base = replace(BASE, prior=replace(BASE.prior, fit=True))
    found = run_trial(workspace, planned, TrialRequest(1, values), [], base=base, config=SEARCH)
    assert len(found.choices) == len(planned.folds)
    for choice in found.choices:
        assert all(getattr(choice, name) == value for name, value in values.items() if name != "knn_neighbours")
    name = write_tuned(workspace.root, JULY, differing(applied(base, values)), evidence(), better=True)
    params, _ = with_tuned(DEFAULTS, read_tuned(workspace.root, name))
    config = RetrainConfig.from_params(params)
    for uri, artifact, choice in zip(planned.folds, found.artifacts, found.choices, strict=True):
        fold = workspace.artifacts.open(uri)
        assert judge_at(workspace, fold, config).uri == artifact
        fixed = judge_at(workspace, fold, choice.applied(config))
        assert fixed.uri != artifact
        assert (recall_of(workspace, fixed.uri) == recall_of(workspace, artifact)).all()


def test_the_outcome_has_the_models_of_the_newest_split(workspace, planned):
    requests = TrialRequest(0, planned.defaults), TrialRequest(1, {"family": "als", "prior_power": 0.05})
    results = [run_trial(workspace, planned, each, [], base=BASE, config=SEARCH) for each in requests]
    found = choose(workspace, planned, [results[0], changed(results[1], objective=1.0, coverage=1.0)], BASE, SEARCH)
    winner, default = found.confirmed_choices
    assert (winner.family, winner.prior_power, default.prior_power) == ("als", 0.05, 0.1)


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(workspace, planned):
    values = {"min_user_interactions": 10**6}
    assert run_trial(workspace, planned, TrialRequest(3, values), [], base=BASE, config=SEARCH).pruned


@pytest.mark.parametrize(
    ("searched", "confirmed", "alone", "better"),
    [
        (0.01, 0.01, -0.01, True),
        (0.01, -0.01, -0.02, False),
        (-0.01, 0.01, -0.01, False),
        (0.01, 0.0, -0.01, False),
        (-0.01, 0.02, 0.01, True),
        (-0.01, 0.01, 0.0, False),
    ],
)
def test_better_is_what_the_newest_split_says_by_itself_or_confirms(searched, confirmed, alone, better):
    assert recommends_better(*(Interval(0.02, low, 0.05) for low in (searched, confirmed, alone))) is better


def test_the_newest_split_by_itself_is_asked_at_the_level_of_the_gate(monkeypatch, workspace, planned):
    """Worse on the splits of the search; on the newest better, for each user by as much."""
    recall = np.random.default_rng(0).random(400) / 4
    recalls = {"default": recall, "winner": recall, "newest default": recall, "newest winner": recall + 0.01}
    monkeypatch.setattr(confirmation, "recall_of", lambda _, uri: recalls[uri])

    def judge_at(workspace, fold, config):
        name = f"newest {'default' if config == BASE else 'winner'}"
        return judged(name, 0.4)

    monkeypatch.setattr(confirmation, "judge_at", judge_at)
    results = [
        trial(number, {"prior_power": 0.3}, 0.1 + number, [name]) for number, name in enumerate(["default", "winner"])
    ]
    choice = choose(workspace, planned, results, BASE, SEARCH)
    assert (choice.better, choice.searched.low > 0, choice.alone.low > 0) == (True, False, True)
    recalls["newest winner"] = recall + np.random.default_rng(1).normal(0.001, 0.02, 400)
    strict = choose(workspace, planned, results, BASE, replace(SEARCH, confirm_level=0.99))
    assert (choice.alone_level, strict.alone_level) == (0.95, 0.99)
    doubtful = choose(workspace, planned, results, BASE, SEARCH)
    assert doubtful.alone.low < doubtful.confirmed.low
    assert not doubtful.better


@pytest.mark.parametrize(
    ("scale", "covers", "better", "too_narrow"),
    [
        (2.0, (0.2, 0.4), True, False),
        (2.0, (0.19, 0.4), False, True),
        (0.5, (0.3, 0.4), False, False),
        (0.5, (0.1, 0.4), False, False),
    ],
)
def test_a_winner_is_better_where_it_also_covers_enough(
    monkeypatch, workspace, planned, scale, covers, better, too_narrow
):
    """Winner and defaults have recalls of a known difference, on the search's splits and on the newest."""
    recall = np.random.default_rng(0).random(400) / 4
    recalls = {"default": recall, "winner": recall * scale}
    covered = {"default": covers[1], "winner": covers[0]}
    monkeypatch.setattr(confirmation, "recall_of", lambda _, uri: recalls[uri])

    def judge_at(workspace, fold, config):
        name = "default" if config == BASE else "winner"
        return judged(name, covered[name])

    monkeypatch.setattr(confirmation, "judge_at", judge_at)
    means = {name: float(row.mean()) for name, row in recalls.items()}
    results = [
        trial(0, planned.defaults, means["default"], ["default"]),
        # Whatever it covered on the search's splits, and however it did there, it is the winner.
        trial(1, {"prior_power": 0.3}, 1.0, ["winner"]),
    ]
    choice = choose(workspace, planned, results, BASE, SEARCH)
    assert (choice.number, choice.better, choice.too_narrow) == (1, better, too_narrow)
    assert choice.confirmed_covers == covers


def test_items_that_a_trial_leaves_out_are_not_recommended():
    fold = world(2.0, 1.0)
    counts = fold.stats["train"] / len(fold.item_codes)
    strict = applied(CONFIG, {"min_item_interactions": int(2 * counts)})
    n_known = int((np.bincount(fold.indices) >= int(2 * counts)).sum())
    assert 0 < n_known < 10
    assert judge_configuration(fold, strict).coverage <= n_known / len(fold.item_codes)


def test_a_trial_is_judged_as_the_model_that_it_chose():
    fold = world(0.0, 3.0)
    config = replace(CONFIG, prior=replace(CONFIG.prior, half_life_days=60.0))
    found = judge_configuration(fold, config)
    assert found.choice == choose_model(fold, config).choice != Choice.of(config)
    again = judge_configuration(fold, found.choice.applied(config))
    assert again.choice == found.choice
    assert (again.recall == found.recall).all()
