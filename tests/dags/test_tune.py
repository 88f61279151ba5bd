"""The search through Airflow itself, and a retraining that takes what it found."""

import json

import pytest

from .. import worlds
from ..conftest import BUCKET
from .harness import NOON, keys, load_dag, put_snapshot, read_json, report_of, run_dag

pytestmark = pytest.mark.slow

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


def test_a_search_finds_a_configuration_and_a_retraining_takes_it(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(worlds.reviews()))
    run, states = run_tune()
    assert run.state == "success"
    assert [states["try_2", at] for at in (0, 1)] == ["success", "success"]
    assert states["try_3", -1] == states["ask_4", -1] == "skipped"
    assert states["write_config", -1] == states["write_report", -1] == "success"
    report = tuning_of(s3, run)
    assert [row["number"] for row in report["results"]] == [0, 1, 2, 3]
    assert report["results"][0]["values"] == {"alpha": 5.0, "prior_power": 1.5, "min_item_interactions": 1}
    choice = report["choice"]
    assert choice["number"] > 0
    assert choice["better"]
    assert choice["searched"]["low"] > 0 < choice["confirmed"]["low"]
    kept = read_json(s3, f"tuned/{report['tuned']}.json")
    # All that the winner was judged with, also what the search's run had set: a retraining takes the same.
    assert kept["values"] == {
        **choice["values"],
        "factors": 16,
        "iterations": 4,
        "fit_prior": False,
        "prior_half_life_days": 2.0,
    }

    retrained, _ = run_dag(tuned="newest")
    told = report_of(s3, retrained)
    assert told["run"]["tuned"] == report["tuned"]
    used = {row["param"]: row["value"] for row in told["configuration"]}
    assert {name: used[name] for name in kept["values"]} == kept["values"]
    assert used["fit_prior"] is False
    manifest = read_json(s3, f"models/{told['model']['model_id']}/manifest.json")
    assert manifest["tuned"] == report["tuned"]
    assert manifest["config"]["encode"]["alpha"] == kept["values"]["alpha"]
    assert manifest["config"]["train"]["factors"] == 16

    # No fold of the search knows anything of what the gate judged on.
    plan, fold = report["plan"], told["fold"]
    assert plan["split_s"] == fold["split_s"]
    for uri in [*plan["folds"], plan["confirm"]]:
        counts = read_json(s3, f"{uri.partition('/shop/')[2]}/manifest.json")["counts"]
        assert counts["last_s"] < fold["split_s"]

    # A retraining that would judge on what the search has seen is refused.
    unfair, _ = run_dag(tuned=report["tuned"], iterations=4, holdout_fraction=0.3)
    error = report_of(s3, unfair)["error"]
    assert error["task"] == "encode_interactions"
    assert "would not be fair" in error["message"]

    # The same search again makes nothing; a longer one begins with the same trials.
    before = trial_artifacts(s3)
    longer, _ = run_tune(NOON.replace(hour=14), trials=5)
    rows = tuning_of(s3, longer)["results"]
    assert [row["values"] for row in rows[:4]] == [row["values"] for row in report["results"]]
    assert len(rows) == 5
    fresh = trial_artifacts(s3) - before
    assert 0 < len(fresh) <= 2

    # "newest" keeps to the past and to what was better; what a person sets wins over what was tuned.
    for name, change in {"20180831-aaaaaaaaaaaa": {"better": False}, "20180902-bbbbbbbbbbbb": {}}.items():
        as_of = f"{name[:4]}-{name[4:6]}-{name[6:8]}T00:00:00+00:00"
        body = json.dumps({**kept, **change, "id": name, "as_of": as_of})
        s3.put_object(Bucket=BUCKET, Key=f"shop/tuned/{name}.json", Body=body)
    run, _ = run_dag(tuned=report["tuned"], iterations=4, alpha=33, force=True)
    told = report_of(s3, run)
    used = {row["param"]: row["value"] for row in told["configuration"]}
    assert (told["run"]["tuned"], used["alpha"]) == (report["tuned"], 33)
    assert used["prior_power"] == kept["values"]["prior_power"]


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
