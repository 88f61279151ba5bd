"""The search through Airflow itself, and a retraining that takes what it found."""

import pytest

from .. import worlds
from ..conftest import BUCKET
from .harness import NOON, keys, load_dag, put_snapshot, read_json, report_of, run_dag

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tune")]

SNAPSHOT = "2018-08-27"
# Few factors, and much of a popularity that is noise, by default, so that there is something to find.
SMALL = {
    "trials": 4,
    "trials_per_round": 2,
    "splits": 2,
    "min_coverage": 0,
    "iterations": 4,
    "factors": 16,
    "fit_prior": False,
    "prior_half_life_days": 2.0,
}
SEARCH = {"search": ["alpha", "prior_power", "min_item_interactions"], "alpha": 5, "prior_power": 1.5}


def run_tune(logical_date=NOON, **conf):
    run = load_dag("recommender_tune").test(logical_date=logical_date, run_conf={**SMALL, **SEARCH, **conf})
    return run, {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def tuning_of(s3, run):
    from include.recommender.runs.journal import folder_id, run_name

    return read_json(s3, f"reports/{run_name(folder_id('recommender_tune', run.run_id))}/tuning.json")


def trial_artifacts(s3):
    return {key for key in keys(s3, "artifacts/tune_trial/") if key.endswith("manifest.json")}


@pytest.fixture(scope="module")
def objects():
    """The objects of the one search of this module, key -> content."""
    return {}


@pytest.fixture
def found(deployment, s3, objects):
    """The report of a search, with all that it left in the bucket."""
    for key, content in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    if not objects:
        put_snapshot(s3, SNAPSHOT, worlds.packed(worlds.reviews()))
        run_tune()
        rows = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET).search("Contents[].Key")
        objects |= {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in rows}
    (report,) = (key for key in keys(s3, "reports/") if key.endswith("tuning.json"))
    return read_json(s3, report)


def configuration_of(report):
    return {row["param"]: row["value"] for row in report["configuration"]}


def test_a_search_runs_its_rounds_and_stops(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(worlds.reviews()))
    run, states = run_tune(trials=2, trials_per_round=2)
    assert run.state == "success"
    assert [states["try_1", at] for at in (0, 1)] == ["success", "success"]
    assert states["try_2", -1] == states["ask_3", -1] == "skipped"
    assert states["write_config", -1] == states["write_report", -1] == "success"


def test_a_search_finds_a_better_configuration_and_keeps_all_of_it(s3, found):
    assert [row["number"] for row in found["results"]] == [0, 1, 2, 3]
    assert found["results"][0]["values"] == {"alpha": 5.0, "prior_power": 1.5, "min_item_interactions": 1}
    choice = found["choice"]
    assert choice["number"] > 0
    assert choice["better"]
    assert choice["searched"]["low"] > 0 < choice["confirmed"]["low"]
    kept = read_json(s3, f"tuned/{found['tuned']}.json")
    # All that the winner was judged with, also what the search's run had set: a retraining takes the same.
    set_by_the_run = {"factors": 16, "iterations": 4, "fit_prior": False, "prior_half_life_days": 2.0}
    assert kept["values"] == {**choice["values"], **set_by_the_run}


def test_a_retraining_takes_what_was_found(s3, found):
    kept = read_json(s3, f"tuned/{found['tuned']}.json")
    report = report_of(s3, run_dag(tuned="newest")[0])
    assert report["run"]["tuned"] == found["tuned"]
    used = configuration_of(report)
    assert {name: used[name] for name in kept["values"]} == kept["values"]
    assert used["fit_prior"] is False
    manifest = read_json(s3, f"models/{report['model']['model_id']}/manifest.json")
    assert manifest["tuned"] == found["tuned"]
    assert manifest["config"]["encode"]["alpha"] == kept["values"]["alpha"]
    assert manifest["config"]["train"]["factors"] == 16
    _assert_no_fold_knows_the_holdout(s3, found["plan"], report["fold"])


def _assert_no_fold_knows_the_holdout(s3, plan, fold):
    assert plan["split_s"] == fold["split_s"]
    for uri in [*plan["folds"], plan["confirm"]]:
        counts = read_json(s3, f"{uri.partition('/shop/')[2]}/manifest.json")["counts"]
        assert counts["last_s"] < fold["split_s"]


def test_a_retraining_that_would_judge_on_what_the_search_has_seen_is_refused(s3, found):
    unfair, _ = run_dag(tuned=found["tuned"], iterations=4, holdout_fraction=0.3)
    error = report_of(s3, unfair)["error"]
    assert error["task"] == "encode_interactions"
    assert "would not be fair" in error["message"]


def test_a_longer_search_begins_with_the_same_trials(s3, found):
    before = trial_artifacts(s3)
    longer, _ = run_tune(NOON.replace(hour=14), trials=5)
    rows = tuning_of(s3, longer)["results"]
    assert [row["values"] for row in rows[:4]] == [row["values"] for row in found["results"]]
    assert len(rows) == 5
    assert 0 < len(trial_artifacts(s3) - before) <= 2


def test_what_a_person_sets_wins_over_what_was_tuned(s3, found):
    report = report_of(s3, run_dag(tuned=found["tuned"], iterations=4, alpha=33)[0])
    used = configuration_of(report)
    assert (report["run"]["tuned"], used["alpha"]) == (found["tuned"], 33)
    assert used["prior_power"] == read_json(s3, f"tuned/{found['tuned']}.json")["values"]["prior_power"]


def test_what_cannot_be_searched_is_refused_before_any_trial(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(worlds.reviews()))
    run, states = run_tune(trials=60)
    assert run.state == "failed"
    assert states["resolve_snapshot", -1] == "failed"
    error = tuning_of(s3, run)["error"]["error"]["message"]
    assert "trials=60" in error
    assert "trials_per_round" in error


def test_a_tuned_configuration_that_is_not_there_is_named(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(worlds.reviews()))
    run, _ = run_dag(tuned="20180101-0123456789ab")
    error = report_of(s3, run)["error"]
    assert error["task"] == "resolve_snapshot"
    assert "tuned=20180101-0123456789ab" in error["message"]
    assert "none yet" in error["message"]
