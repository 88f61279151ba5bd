"""The item prior from where its power is learned to where a later run judges the champion by it."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.models.prior import ItemPrior, PriorAls, fit_prior
from include.recommender.registry.bundle import prior_of
from include.recommender.stages import champion, fit, judge
from include.recommender.stages.champion import compare_with, contestant

from ..candidates import AUGUST, JULY, Candidate

pytestmark = pytest.mark.slow

# Far from any power and half-life that these reviews, in which taste rules, would keep.
CONFIGURED = {"prior_power": 2.5, "prior_half_life_days": 8.0, "prior_short_history": 0.5}


@pytest.fixture
def first(workspace):
    return Candidate(workspace, JULY, **CONFIGURED)


def test_what_was_learned_is_judged_published_and_refitted(workspace, first):
    found = first.fitted.popularity.counts["prior"]
    learned, half_life_days = found["power"], found["half_life_days"]
    assert learned != 2.5
    assert half_life_days != 8.0
    model = fit.load_model(workspace, first.fitted, first.config.prior)
    strength = fit.load_prior(workspace, first.fitted.popularity)
    fixed = replace(first.config.prior, power=learned, half_life_days=half_life_days, fit=False)
    assert (model.prior.boosts == ItemPrior.of(strength, fixed).boosts).all()
    fold = EncodedFold.load(workspace.artifacts.path(first.fitted.encoded))
    counted = (fold.indices, fold.times, len(fold.item_codes), fold.stats["cut_s"])
    assert (strength == fit_prior(*counted, fixed)).all()
    manifest = workspace.registry.manifest(first.model_id)
    assert prior_of(manifest) == fixed
    assert manifest.identity["judged_prior"]["power"] == learned
    assert manifest.identity["published_prior"]["power"] == learned
    refitted = workspace.artifacts.open(manifest.lineage["refit/fit_popularity"])
    assert {name: refitted.counts["prior"][name] for name in ("power", "half_life_days")} == {
        "power": learned,
        "half_life_days": half_life_days,
    }


def test_a_later_run_scores_the_champion_as_it_was_published(workspace, first):
    first.promote()
    # This run leaves out items that the champion knows: its histories, and so its scores, stay its own.
    later = Candidate(workspace, AUGUST, min_item_interactions=20, prior_power=0.0, fit_prior=False)
    state = workspace.registry.channels.read("production")
    comparison, theirs = compare_with(workspace, later.fitted, state, later.config)
    assert comparison.how == "published"
    found = contestant(workspace, later.parsed, later.fitted, AUGUST, comparison, theirs)
    published = prior_of(workspace.registry.manifest(first.model_id))
    assert published.power > 0
    fold = EncodedFold.load(workspace.artifacts.path(later.fitted.encoded))
    whole = champion.encode_interactions(workspace, later.parsed, AUGUST, theirs.encode).artifact
    theirs_fold = EncodedFold.load(workspace.artifacts.path(whole))
    histories = theirs_fold.history[np.searchsorted(theirs_fold.user_codes, fold.user_codes)]
    assert (found.history == histories).all()
    assert (found.history > fold.history).any()
    part = champion.bundle_part(workspace, first.model_id, "judged")
    everything = PriorAls(part.als, ItemPrior.of(part.prior, published), np.zeros(0, dtype=np.int32))
    # A user that both know, over the items that both know.
    ids = workspace.artifacts.path(later.parsed)
    users = champion.load_ids(ids / champion.USERS).take(fold.user_codes).to_pylist()
    items = champion.load_ids(ids / champion.ITEMS).take(fold.item_codes).to_pylist()
    row = next(row for row, name in enumerate(users) if name in set(part.user_ids.to_pylist()))
    there = part.user_ids.to_pylist().index(users[row])
    score = everything.prior.blended_scores(
        part.als.user_factors[[there]], part.als.item_factors, found.history[[row]]
    )[0]
    place = {name: at for at, name in enumerate(part.item_ids.to_pylist())}
    expected = [score[place[name]] if name in place else -np.inf for name in items]
    assert found.score(np.array([row], dtype=np.int32))[0] == pytest.approx(expected, rel=1e-5)


def test_a_champion_fitted_anew_learns_its_prior_anew(workspace, first):
    """Published later than this run's cut: its configuration is fitted on this train part, as `first` was."""
    Candidate(workspace, AUGUST, **CONFIGURED).promote()
    now = Candidate(workspace, JULY, factors=8)
    comparison, theirs = compare_with(workspace, now.fitted, workspace.registry.channels.read("production"), now.config)
    assert comparison.how == "refitted"
    found = contestant(workspace, now.parsed, now.fitted, JULY, comparison, theirs)
    rows = EncodedFold.load(workspace.artifacts.path(now.fitted.encoded)).holdout_rows
    expected = fit.load_model(workspace, first.fitted, first.config.prior).score(rows)
    assert found.score(rows) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_evidence_and_opponents_are_no_part_of_a_models_identity(workspace, first):
    found = first.fitted.popularity.counts["prior"]
    learned = {"prior_power": found["power"], "prior_half_life_days": found["half_life_days"]}
    fixed = Candidate(workspace, JULY, **CONFIGURED | learned, fit_prior=False)
    assert fixed.model_id == first.model_id
    assert Candidate(workspace, JULY, **CONFIGURED, windows_days=[7, 60]).model_id == first.model_id
    for change in ({"prior_short_history": 3}, {"prior_half_life_days": 80}):
        assert Candidate(workspace, JULY, **CONFIGURED | change).model_id != first.model_id


@pytest.mark.parametrize("param", ["prior_power", "prior_short_history"])
def test_judging_depends_on_the_prior(workspace, first, param):
    judged = []
    for value in (0.6, 0.7):
        params = {**CONFIGURED, "iterations": 5, "resamples": 10_000, "fit_prior": False, param: value}
        config = RetrainConfig.from_params(params)
        popularity = fit.fit_popularity(workspace, first.fitted.encoded, config).artifact
        fitted = replace(first.fitted, popularity=popularity)
        judged.append(judge.evaluate(workspace, first.parsed, fitted, JULY, "production", config).artifact.uri)
    assert judged[0] != judged[1]


@pytest.mark.parametrize("change", [{"factors": 16}, {"alpha": 7}, {"top_k": 5}, {"sample_seed": 8}])
def test_the_power_is_learned_anew_where_something_that_shapes_it_is_another(workspace, first, change):
    config = RetrainConfig.from_params({"iterations": 5, "resamples": 10_000, **CONFIGURED, **change})
    again = fit.fit_popularity(workspace, first.fitted.encoded, config).artifact
    assert again.uri != first.fitted.popularity.uri
