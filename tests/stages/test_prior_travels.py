"""The item prior from where its power is learned to where a later run judges the champion by it."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.models.prior import ItemPrior, fit_prior
from include.recommender.registry.bundle import ModelPart, prior_of
from include.recommender.registry.seen import Seen
from include.recommender.stages import champion, fit, judge
from include.recommender.stages.champion import compare_with, version_of

from ..candidates import AUGUST, JULY, Candidate

pytestmark = pytest.mark.slow

# Far from any power and half-life that these reviews, in which taste rules, would keep.
CONFIGURED = {"prior_power": 2.5, "prior_half_life_days": 8.0, "prior_short_history": 0.5}


@pytest.fixture
def first(workspace):
    return Candidate(workspace, JULY, **CONFIGURED)


def test_what_was_learned_is_judged_published_and_refitted(workspace, first):
    found = first.fitted.prior.counts["prior"]
    learned, half_life_days = found["power"], found["half_life_days"]
    assert learned != 2.5
    assert half_life_days != 8.0
    model = fit.load_model(workspace, first.fitted, first.config)
    popularity = fit.load_prior(workspace, first.fitted.prior)
    fixed = replace(first.config.prior, power=learned, half_life_days=half_life_days, fit=False)
    assert (model.prior.multipliers == ItemPrior.of(popularity, fixed).multipliers).all()
    fold = EncodedFold.load(workspace.artifacts.path(first.fitted.encoded))
    assert (popularity == fit_prior(fold.item_interactions, fixed)).all()
    manifest = workspace.registry.manifest(first.model_id)
    assert prior_of(manifest) == fixed
    assert manifest.identity["judged_prior"]["power"] == learned
    assert manifest.identity["published_prior"]["power"] == learned
    refitted = workspace.artifacts.open(manifest.lineage["refit/learn_prior"])
    assert {name: refitted.counts["prior"][name] for name in ("power", "half_life_days")} == {
        "power": learned,
        "half_life_days": half_life_days,
    }


def test_a_later_run_scores_the_champion_as_it_was_published(workspace, first):
    first.promote()
    # This run leaves out items that the champion knows: its histories, and so its scores, stay its own.
    later = Candidate(workspace, AUGUST, min_item_interactions=20, prior_power=0.0, fit_prior=False)
    state = workspace.registry.channels.read("production")
    comparison, theirs = compare_with(later.fields, state)
    assert comparison.how == "published"
    fold = EncodedFold.load(workspace.artifacts.path(later.fitted.encoded))
    rows = np.arange(len(fold.user_codes), dtype=np.int32)
    found = version_of(later.fields, rows, comparison, theirs)
    published = prior_of(workspace.registry.manifest(first.model_id))
    assert published.power > 0
    # What each user did until now, by the champion's own configuration, over the items that it knows.
    whole = champion.encode_interactions(workspace, later.parsed, AUGUST, theirs.encode).artifact
    theirs_fold = EncodedFold.load(workspace.artifacts.path(whole))
    part = champion.bundle_part(workspace, first.model_id, "judged")
    ids = workspace.artifacts.path(later.parsed)
    own = {name: at for at, name in enumerate(part.items.ids.to_pylist())}
    names = champion.load_vocabulary(ids / champion.ITEMS).take(theirs_fold.item_codes).ids.to_pylist()
    known = np.array([name in own for name in names])
    places = np.searchsorted(theirs_fold.user_codes, fold.user_codes)
    matrix = theirs_fold.matrix[places][:, np.flatnonzero(known)]
    assert (found.histories.sizes == np.diff(matrix.indptr)).all()
    assert (found.histories.sizes > fold.history).any()
    assert found.histories.confidence.tolist() == matrix.data.tolist()
    # The published model, over the items that both know.
    scores = part.model(first.config.train, published).score(found.histories)
    items = champion.load_vocabulary(ids / champion.ITEMS).take(fold.item_codes).ids.to_pylist()
    expected = np.stack([scores[:, own[name]] if name in own else np.full(len(rows), -np.inf) for name in items], 1)
    assert found.model.score(found.histories).tobytes() == expected.astype(np.float32).tobytes()


def test_a_published_user_is_a_look_up_and_then_a_score(workspace, first, tmp_path):
    """The bundle alone, its histories weighed anew, gives the scores of the refitted model on its fold."""
    manifest = workspace.registry.fetch(first.model_id, tmp_path)
    part = ModelPart.load(tmp_path, "published")
    seen = Seen.load(tmp_path, len(part.items))
    histories = seen.histories(manifest.published_split_s, first.config.encode)
    stages = ("encode_interactions", "train_als", "learn_prior")
    refitted = fit.Fitted(*(workspace.artifacts.open(manifest.lineage[f"refit/{stage}"]) for stage in stages))
    fold = EncodedFold.load(workspace.artifacts.path(refitted.encoded))
    assert histories.confidence.tobytes() == fold.confidence.tobytes()
    assert histories.items.tobytes() == fold.indices.tobytes()
    model = part.model(first.config.train, prior_of(manifest))
    expected = fit.load_model(workspace, refitted, first.config).score(fold.histories)
    assert model.score(histories).tobytes() == expected.tobytes()


def test_a_champion_fitted_anew_learns_its_prior_anew(workspace, first):
    """Published later than this run's split time: its configuration is fitted on this train part, as `first` was."""
    Candidate(workspace, AUGUST, **CONFIGURED).promote()
    now = Candidate(workspace, JULY, factors=8)
    comparison, theirs = compare_with(now.fields, workspace.registry.channels.read("production"))
    assert comparison.how == "refitted"
    fold = EncodedFold.load(workspace.artifacts.path(now.fitted.encoded))
    found = version_of(now.fields, fold.holdout_rows, comparison, theirs)
    expected = fit.load_model(workspace, first.fitted, first.config).score(fold.histories.take(fold.holdout_rows))
    assert found.model.score(found.histories).tobytes() == expected.tobytes()


def test_evidence_and_baselines_are_no_part_of_a_models_identity(workspace, first):
    found = first.fitted.prior.counts["prior"]
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
        fitted = replace(first.fitted, prior=fit.learn_prior(workspace, first.fitted.encoded, config).artifact)
        outcome = judge.evaluate(replace(first.fields, fitted=fitted, config=config))
        judged.append(outcome.artifact.uri)
    assert judged[0] != judged[1]


@pytest.mark.parametrize("change", [{"factors": 16}, {"alpha": 7}, {"top_k": 5}, {"sample_seed": 8}])
def test_the_power_is_learned_anew_where_something_that_shapes_it_is_another(workspace, first, change):
    config = RetrainConfig.from_params({"iterations": 5, "resamples": 10_000, **CONFIGURED, **change})
    again = fit.learn_prior(workspace, first.fitted.encoded, config).artifact
    assert again.uri != first.fitted.prior.uri
