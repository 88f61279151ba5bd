"""The tables of a version that the stages really made."""

import pytest

from include.recommender.errors import DataError, NotFound
from include.recommender.frames import data_funnel, evaluation, slices, trend, verdict, versions
from include.recommender.frames.data_steps import FUNNEL
from include.recommender.frames.groups import POPULARITY, SLICES

from ..candidates import AUGUST, REVIEWS, Candidate
from .shapes import promised, shape


@pytest.fixture
def candidate(workspace):
    made = Candidate(workspace, AUGUST)
    made.promote()
    return made


def test_the_funnel_adds_up(candidate):
    found = data_funnel(candidate.workspace.registry, "production")
    assert shape(found) == promised(FUNNEL)
    n = found.set_index(["part", "step"])["n"]
    parsed = n["parse"]
    assert parsed["lines"] == len(REVIEWS) == parsed["blank"] + parsed["bad"] + parsed["reviews"]
    for part in ("judged fold", "published fold"):
        fold = n[part]
        assert fold["reviews"] == parsed["reviews"] == fold["after_as_of"] + fold["repeated"] + fold["interactions"]
        assert fold["interactions"] == fold["train"] + fold["train_dropped_rare"] + fold["holdout"]
        assert fold["holdout"] == fold["holdout_of_cold_users"] + fold["judged_interactions"]
        assert fold["after_as_of"] > 0
    assert n["judged fold", "holdout"] > 0 == n["published fold", "holdout"]
    whole = found["step"] == found["of"]
    assert (found[whole]["share"] == 1).all()
    assert found["share"].dropna().between(0, 1).all()
    assert found["problem"].isna().all()


def test_slices_cover_the_judged_users(candidate):
    registry = candidate.workspace.registry
    found = slices(registry, "production")
    assert shape(found) == promised(SLICES)
    judged = verdict(registry, "production").set_index("check")["found"]["judged users"]
    for_users = found[found["slicing"] != POPULARITY]
    sums = for_users.groupby(["model", "slicing"])["users"].sum()
    assert set(sums) == {int(judged)}
    assert set(found["model"]) == set(evaluation(registry, "production")["model"])
    shown = found[found["slicing"] == POPULARITY].groupby("model")["shown"].sum()
    assert shown.to_numpy() == pytest.approx(1.0)
    weighed = for_users["recall"].mul(for_users["users"]).groupby([for_users["model"], for_users["slicing"]]).sum()
    recalls = evaluation(registry, "production").set_index("model")["recall"]
    for (model, _), total in weighed.items():
        assert total / int(judged) == pytest.approx(recalls[model])


def test_slices_of_artifacts_that_are_gone_or_changed(candidate):
    registry, evaluated = candidate.workspace.registry, candidate.evaluated
    registry.objects.write(evaluated.key("judged.json"), b"{}")
    with pytest.raises(DataError, match=r"judged\.json: SHA-256"):
        slices(registry, "production")
    registry.objects.delete([row.key for row in registry.objects.walk("artifacts/")])
    with pytest.raises(NotFound, match="Clear the task evaluate"):
        slices(registry, "production")
    found = data_funnel(registry, "production")
    assert found[found["part"] == "parse"]["problem"].str.contains("Clear the task parse_reviews").all()
    assert found[found["part"] != "parse"]["n"].notna().all()


def test_the_same_recall_in_all_tables(candidate):
    registry = candidate.workspace.registry
    listed, judged = versions(registry), evaluation(registry, candidate.model_id)
    recall = judged.set_index("model")["recall"]["candidate"]
    assert listed["recall"].tolist() == trend(registry)["candidate"].tolist() == [recall]
    assert judged["recall"].is_monotonic_decreasing
    assert judged[judged["is_baseline"]]["model"].tolist() == listed["baseline"].tolist()
