"""What is chosen, from where it is chosen to where a later run judges the champion by it."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.evaluation.outcomes import ChoiceCounts
from include.recommender.models.choice import Choice
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.models.knn.similarities import ARRAYS
from include.recommender.models.prior import ItemPrior, fit_prior
from include.recommender.registry.bundle import ModelPart, served_config
from include.recommender.registry.seen import Seen
from include.recommender.stages import champion, fit, judge
from include.recommender.stages.champion import compare_with, version_of

from ..candidates import AUGUST, FIXED, JULY, Candidate

pytestmark = pytest.mark.slow

# Far from any prior and ageing that these reviews, in which taste rules, would keep.
CONFIGURED = {"prior_power": 2.5, "prior_half_life_days": 8.0, "prior_short_history": 0.5}
CONFIGURED |= {"half_life_days": 0.1, "age_floor": 0.0, **dict.fromkeys(FIXED, True)}


@pytest.fixture
def first(workspace):
    return Candidate(workspace, JULY, **CONFIGURED)


def test_what_was_chosen_is_judged_published_and_refitted(workspace, first):
    choice = first.fitted.chosen.counted(ChoiceCounts).chosen.choice
    assert choice.prior_power != 2.5
    assert choice.half_life_days == 0.0
    fixed = choice.applied(first.config)
    model = fit.load_model(workspace, first.fitted, first.config)
    popularity = fit.load_prior(workspace, first.fitted.chosen)
    assert (model.prior.multipliers == ItemPrior.of(popularity, fixed.prior).multipliers).all()
    fold = EncodedFold.load(workspace.artifacts.path(first.fitted.encoded))
    assert (popularity == fit_prior(fold.item_interactions, fixed.prior)).all()
    manifest = workspace.registry.manifest(first.model_id)
    assert manifest.choice == choice
    assert manifest.config == first.config.as_dict()
    assert served_config(manifest) == fixed
    for part in ("judged", "published"):
        assert manifest.identity[part]["power"] == choice.prior_power
        assert manifest.identity[part]["family"] == choice.family
    refitted = workspace.artifacts.open(manifest.lineage["refit/choose_model"])
    assert refitted.counted(ChoiceCounts).chosen.choice == choice


@pytest.mark.parametrize("family", ["als", "knn", "blend"])
@pytest.mark.parametrize("similarity", ["bm25", "ease"])
def test_each_family_is_published_with_its_files_and_no_others(workspace, tmp_path, family, similarity):
    run = Candidate(workspace, JULY, family=family, knn_similarity=similarity)
    manifest = workspace.registry.fetch(run.model_id, tmp_path)
    similar = {name for name in manifest.files if "similar" in name}
    expected = {f"{part}_similar_{name}.npy" for part in ("judged", "published") for name in ARRAYS}
    assert similar == (set() if family == "als" else expected)
    fold = EncodedFold.load(workspace.artifacts.path(run.fitted.encoded))
    expected = fit.load_model(workspace, run.fitted, run.config).score(fold.histories)
    model = ModelPart.load(tmp_path, "judged", served_config(manifest)).model(served_config(manifest))
    assert model.score(fold.histories).tobytes() == expected.tobytes()
    assert (model.similar is None) == (family == "als")


def test_the_rival_of_a_model_with_ease_is_item_knn(workspace):
    """The neighbours by BM25 are those of the rival, and no part of the model's identity."""
    first, ease, als = (
        Candidate(workspace, JULY, **fields)
        for fields in ({}, {"knn_similarity": "ease"}, {"knn_similarity": "ease", "family": "als"})
    )
    matrix = EncodedFold.load(workspace.artifacts.path(first.fitted.encoded)).matrix
    for run, rival, similarity in (
        *((first, rival, "bm25") for rival in (False, True)),
        *((als, rival, "bm25") for rival in (False, True)),
        *((ease, False, "ease"), (ease, True, "bm25")),
    ):
        found = fit.load_neighbours(workspace, run.fitted.neighbours, rival=rival)
        expected = fit_similarities(matrix, replace(run.config.knn, similarity=similarity))
        assert all(getattr(found, name).tobytes() == getattr(expected, name).tobytes() for name in ARRAYS)
    # The family ALS reads no similarities, so EASE is not fitted for it; item-kNN is fitted once for all of them.
    assert als.fitted.neighbours == first.fitted.neighbours
    judged = [judge.read_judged(workspace, run.evaluated) for run in (first, ease)]
    assert judged[0]["item_knn"] == judged[1]["item_knn"]
    assert judged[0]["candidate"] != judged[1]["candidate"]
    alone = fit._fit_neighbours(workspace, first.fitted.encoded, ease.config.knn).artifact
    assert alone != ease.fitted.neighbours
    again = replace(ease.fitted, neighbours=alone)
    assert fit.model_identity(again, ease.config) == fit.model_identity(ease.fitted, ease.config)


def test_neighbours_by_bm25_do_not_depend_on_the_regularization_of_ease(workspace):
    config = RetrainConfig.from_params({**FIXED, "iterations": 5})
    encoded = Candidate(workspace, JULY).fitted.encoded
    made = {
        (similarity, ridge): fit._fit_neighbours(
            workspace, encoded, replace(config.knn, similarity=similarity, regularization=ridge)
        ).artifact.uri
        for similarity in ("bm25", "ease")
        for ridge in (100.0, 300.0)
    }
    assert made["bm25", 100.0] == made["bm25", 300.0]
    assert made["ease", 100.0] != made["ease", 300.0]


def test_a_later_run_scores_the_champion_as_it_was_published(workspace, first):
    first.promote()
    # This run leaves out items that the champion knows: its histories, and so its scores, stay its own.
    later = Candidate(workspace, AUGUST, min_item_interactions=20, prior_power=0.0)
    state = workspace.registry.channels.read("production")
    comparison, theirs = compare_with(later.fields, state)
    assert comparison.how == "published"
    fold = EncodedFold.load(workspace.artifacts.path(later.fitted.encoded))
    rows = np.arange(len(fold.user_codes), dtype=np.int32)
    found = version_of(later.fields, rows, comparison, theirs)
    published = served_config(workspace.registry.manifest(first.model_id))
    assert published.prior.power > 0
    assert published.encode.half_life_days == 0
    # What each user did until now, by the champion's own configuration, over the items that it knows.
    whole = champion.encode_interactions(workspace, later.parsed, AUGUST, theirs.encode).artifact
    theirs_fold = EncodedFold.load(workspace.artifacts.path(whole)).reweighed(published.encode)
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
    scores = part.model(published).score(found.histories)
    items = champion.load_vocabulary(ids / champion.ITEMS).take(fold.item_codes).ids.to_pylist()
    expected = np.stack([scores[:, own[name]] if name in own else np.full(len(rows), -np.inf) for name in items], 1)
    assert found.model.score(found.histories).tobytes() == expected.astype(np.float32).tobytes()


def test_a_published_user_is_a_look_up_and_then_a_score(workspace, first, tmp_path):
    """The bundle alone, its histories weighed anew, gives the scores of the refitted model on its fold."""
    manifest = workspace.registry.fetch(first.model_id, tmp_path)
    part = ModelPart.load(tmp_path, "published", served_config(manifest))
    seen = Seen.load(tmp_path, len(part.items))
    histories = seen.histories(manifest.published_split_s, served_config(manifest).encode)
    stages = ("encode_interactions", "choose_model", "train_als", "fit_neighbours")
    uris = [manifest.lineage.get(f"refit/{stage}") for stage in stages]
    refitted = fit.Fitted(*(workspace.artifacts.open(uri) if uri else None for uri in uris))
    fold = EncodedFold.load(workspace.artifacts.path(refitted.encoded)).reweighed(served_config(manifest).encode)
    assert histories.confidence.tobytes() == fold.confidence.tobytes()
    assert histories.items.tobytes() == fold.indices.tobytes()
    model = part.model(served_config(manifest))
    expected = fit.load_model(workspace, refitted, first.config).score(fold.histories)
    assert model.score(histories).tobytes() == expected.tobytes()


def test_a_champion_fitted_anew_is_chosen_anew(workspace, first):
    """Published later than this run's split time: its configuration is fitted on this train part, as `first` was."""
    Candidate(workspace, AUGUST, **CONFIGURED).promote()
    now = Candidate(workspace, JULY, factors=8, champion_tolerance=1.0)
    comparison, theirs = compare_with(now.fields, workspace.registry.channels.read("production"))
    assert comparison.how == "refitted"
    whole = champion.encode_interactions(workspace, now.parsed, JULY, theirs.encode).artifact
    unaged = replace(first.config.encode, half_life_days=0.0)
    fold = EncodedFold.load(workspace.artifacts.path(whole)).reweighed(unaged)
    found = version_of(now.fields, fold.holdout_rows, comparison, theirs)
    expected = fit.load_model(workspace, first.fitted, first.config).score(fold.histories.take(fold.holdout_rows))
    assert found.model.score(found.histories).tobytes() == expected.tobytes()


def test_evidence_and_baselines_are_no_part_of_a_models_identity(workspace):
    asked = CONFIGURED | {"fit_ageing": False}
    first = Candidate(workspace, JULY, **asked)
    found = first.fitted.chosen.counted(ChoiceCounts).chosen.choice
    chosen = {"factors": found.factors, "knn_similarity": found.knn_similarity}
    chosen |= {"prior_power": found.prior_power, "prior_half_life_days": found.prior_half_life_days}
    chosen |= {"family": found.family} | ({"knn_weight": found.knn_weight} if found.family == "blend" else {})
    fixed = Candidate(workspace, JULY, **asked | chosen | FIXED)
    assert fixed.model_id == first.model_id
    assert Candidate(workspace, JULY, **asked, windows_days=[7, 60]).model_id == first.model_id
    for change in ({"prior_short_history": 3}, {"prior_half_life_days": 80}):
        assert Candidate(workspace, JULY, **asked | change).model_id != first.model_id


@pytest.mark.parametrize("param", ["prior_power", "prior_short_history", "knn_weight"])
def test_judging_depends_on_the_prior(workspace, first, param):
    judged = []
    for value in (0.6, 0.7):
        params = {**CONFIGURED, **FIXED, "iterations": 5, "resamples": 10_000, param: value}
        config = RetrainConfig.from_params(params)
        fitted = replace(first.fitted, chosen=fit.choose_model(workspace, first.fitted.encoded, config).artifact)
        outcome = judge.evaluate(replace(first.fields, fitted=fitted, config=config))
        judged.append(outcome.artifact.uri)
    assert judged[0] != judged[1]


@pytest.mark.parametrize(
    "change", [{"factors": 16}, {"alpha": 7}, {"top_k": 5}, {"sample_seed": 8}, {"knn_neighbours": 9}]
)
def test_it_is_chosen_anew_where_something_that_shapes_it_is_another(workspace, first, change):
    config = RetrainConfig.from_params({"iterations": 5, "resamples": 10_000, **CONFIGURED, **change})
    again = fit.choose_model(workspace, first.fitted.encoded, config).artifact
    assert again.uri != first.fitted.chosen.uri


@pytest.mark.parametrize(
    "change",
    [{"factors": 16}, {"half_life_days": 9}, {"knn_similarity": "ease"}, {"knn_weight": 2}, {"prior_power": 0.3}],
)
def test_where_nothing_is_chosen_the_choice_is_that_of_its_own_configuration(workspace, first, change):
    asked = {**CONFIGURED, **FIXED, **change}
    fit.choose_model(workspace, first.fitted.encoded, RetrainConfig.from_params({**CONFIGURED, **FIXED}))
    config = RetrainConfig.from_params(asked)
    found = fit.choose_model(workspace, first.fitted.encoded, config).artifact
    assert found.counted(ChoiceCounts).chosen.choice == Choice.of(config)


def test_it_is_chosen_anew_where_the_machine_allows_other_factors(workspace, first, monkeypatch):
    monkeypatch.setattr(fit, "affordable_factors", lambda *_: 64)
    again = fit.choose_model(workspace, first.fitted.encoded, first.config).artifact
    assert again.uri != first.fitted.chosen.uri


def test_it_is_chosen_anew_where_the_machine_does_not_allow_ease(workspace, first, monkeypatch):
    monkeypatch.setattr(fit, "unaffordable_ease", lambda *_: "a reason")
    again = fit.choose_model(workspace, first.fitted.encoded, first.config).artifact
    assert again.uri != first.fitted.chosen.uri
    assert again.counted(ChoiceCounts).chosen.why.endswith("; EASE was not tried: a reason")


def test_a_model_that_was_chosen_by_another_k_or_sample_is_not_of_the_same_configuration():
    own = RetrainConfig()
    for change in ({"top_k": 5}, {"sample_seed": 8}):
        assert champion._fitting(RetrainConfig.from_params(change)) != champion._fitting(own)
    assert champion._fitting(RetrainConfig.from_params({"min_users": 7})) == champion._fitting(own)
