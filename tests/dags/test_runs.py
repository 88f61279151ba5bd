"""The whole DAG against a real S3 server: what each input and parameter leads to."""

import pytest

from include.recommender.registry.registry import Actor

from .. import worlds
from ..conftest import BUCKET
from .harness import NOON, keys, put_snapshot, read_json, report_of, run_dag

SNAPSHOT = "2018-08-27"
REVIEWS = worlds.reviews()


def test_reviews_become_a_promoted_model(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    run, states = run_dag(chooses=True)
    assert run.state == "success"
    assert set(states.values()) == {"success"}
    report = report_of(s3, run)
    assert report["verdict"]["decision"] == "PROMOTE"
    assert report["error"] is None
    pointer = read_json(s3, "channels/production.json")
    assert pointer["to_model"] == report["model"]["model_id"]
    assert f"models/{pointer['to_model']}/manifest.json" in keys(s3, "models/")


@pytest.mark.slow
def test_a_run_over_unchanged_reviews_stops_early_as_a_success(deployment, s3):
    put_snapshot(s3, "2018-08-29", worlds.packed(REVIEWS))
    put_snapshot(s3, "2018-08-31", worlds.packed(REVIEWS))
    first, _ = run_dag(NOON.replace(month=8, day=30))
    second, states = run_dag()
    assert second.state == "success"
    assert states["parse_reviews"] == states["promote_model"] == "skipped"
    assert states["write_report"] == "success"
    report = report_of(s3, second)
    assert report["unchanged"] == report_of(s3, first)["model"]["model_id"]
    assert report["table"] == report_of(s3, first)["table"]
    _, states = run_dag(factors=8)
    assert states["parse_reviews"] == "success"


@pytest.mark.slow
def test_a_collapsed_snapshot_stops_before_training(deployment, s3):
    put_snapshot(s3, "2018-08-20", worlds.packed(REVIEWS))
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS[: len(REVIEWS) // 2]))
    run_dag(NOON.replace(month=8, day=21))
    run, states = run_dag()
    assert (states["check_snapshot"], states["encode_interactions"]) == ("failed", "upstream_failed")
    error = report_of(s3, run)["error"]
    assert "reviews: 4,800 before, 2,400 now, allowed at least 3,840: COLLAPSED" in error["message"]
    run, states = run_dag(check_quality=False)
    assert states["check_snapshot"] == "success"


@pytest.mark.slow
def test_an_older_date_fills_the_registry_and_leaves_production_alone(deployment, s3):
    put_snapshot(s3, "2018-07-02", worlds.packed(worlds.before(REVIEWS, "2018-07-02")))
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    _, first = run_dag()
    newest = read_json(s3, "channels/production.json")
    run, states = run_dag(NOON.replace(month=7, day=3))
    assert (first["promote_model"], states["promote_model"]) == ("success", "skipped")
    assert report_of(s3, run)["run"]["as_of"].startswith("2018-07-03")
    assert read_json(s3, "channels/production.json") == newest
    assert len([key for key in keys(s3, "models/") if key.endswith("manifest.json")]) == 2


@pytest.mark.slow
def test_files_of_one_name_in_subfolders_are_distinguished(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.lines(REVIEWS[:2000]), name="a/part-0.jsonl")
    put_snapshot(s3, SNAPSHOT, b"{oops\n" * 100 + worlds.lines(REVIEWS[2000:]), name="b/part-0.jsonl")
    run, states = run_dag()
    assert states["parse_reviews"] == "failed"
    assert "b/part-0.jsonl" in report_of(s3, run)["error"]["message"]


@pytest.mark.slow
def test_too_little_evidence_is_held_and_nothing_is_published(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS[-300:]))
    run, states = run_dag()
    assert (run.state, states["recall_gate"], states["refit"]) == ("failed", "failed", "upstream_failed")
    assert states["write_report"] == "success"
    report = report_of(s3, run)
    assert report["verdict"]["decision"] == "HOLD"
    assert report["error"] is None
    assert "Verdict: HOLD" in report["table"]
    assert keys(s3, "models/") == keys(s3, "channels/") == []


@pytest.mark.slow
def test_a_forced_promotion_needs_and_keeps_its_reason(deployment, s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS[-300:]))
    run, _ = run_dag(force_reason="first model of a new shop, nothing to lose")
    assert run.state == "success"
    (entry,) = keys(s3, "channels/production/history/")
    move = read_json(s3, entry)
    assert (move["verdict"], move["why"]) == ("HOLD", "forced: first model of a new shop, nothing to lose")


def _truncated(s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS)[:-2000])


def _no_usable_line(s3):
    put_snapshot(s3, SNAPSHOT, worlds.packed([{"no": "review"}] * 10))


def _empty(s3):
    put_snapshot(s3, SNAPSHOT, b"", name="README.txt")


def _one_instant(s3):
    rows = [{**row, "unixReviewTime": 1_530_000_000} for row in REVIEWS[:100]]
    put_snapshot(s3, SNAPSHOT, worlds.packed(rows))


def _strangers(s3):
    rows = [{**row, "reviewerID": f"U{number}"} for number, row in enumerate(REVIEWS)]
    put_snapshot(s3, SNAPSHOT, worlds.packed(rows))


@pytest.mark.parametrize(
    ("put", "conf", "task", "kind", "expected"),
    [
        (_truncated, {}, "parse_reviews", "DataError", "reviews.jsonl.gz: truncated"),
        (_no_usable_line, {}, "parse_reviews", "DataError", "no known layout"),
        (_empty, {}, "resolve_snapshot", "DataError", "no review file; left out: "),
        (lambda s3: None, {}, "resolve_snapshot", "NotFound", "no snapshot on or before 2018-09-01"),
        (_truncated, {"snapshot": "2018-08-28"}, "resolve_snapshot", "NotFound", "no snapshot 2018-08-28"),
        (_one_instant, {}, "encode_interactions", "DataError", "leave no train part"),
        (_strangers, {}, "encode_interactions", "DataError", "The holdout is empty"),
    ],
)
@pytest.mark.slow
def test_bad_input_fails_the_earliest_task_that_can_know(deployment, s3, put, conf, task, kind, expected):
    put(s3)
    run, states = run_dag(**conf)
    assert run.state == "failed"
    assert states[task] == "failed"
    assert states["write_report"] == "success"
    error = report_of(s3, run)["error"]
    assert (error["task"], error["kind"]) == (task, kind)
    assert expected in error["message"]
    assert keys(s3, "models/") == keys(s3, "channels/") == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RECOMMENDER_ROOT", "s3://no-such-bucket/shop", "the bucket does not exist"),
        ("RECOMMENDER_ROOT", "", "RECOMMENDER_ROOT is not set"),
        ("RECOMMENDER_ROOT", "http://example.org", "is not an S3 URI"),
        ("RECOMMENDER_SNAPSHOTS", "s3://no-such-bucket/x", "the bucket does not exist"),
    ],
)
@pytest.mark.slow
def test_a_wrong_setting_fails_the_first_task_without_retries(
    deployment, s3, monkeypatch, capfd, name, value, expected
):
    monkeypatch.setenv(name, value)
    run, states = run_dag()
    assert (run.state, states["resolve_snapshot"]) == ("failed", "failed")
    assert expected in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "conf", [{"factors": 0}, {"as_of": "yesterday"}, {"windows_days": []}, {"force_reason": "short"}]
)
def test_the_form_rejects_a_wrong_parameter(deployment, conf):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError, match=next(iter(conf))):
        run_dag(**conf)


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"factor": 3}, "factor: there is no such parameter"),
        ({"as_of": "2018-02-31"}, "as_of='2018-02-31': expected a date"),
        ({"as_of": "2081-09-01"}, "lies after the run's date"),
    ],
)
@pytest.mark.slow
def test_what_the_form_lets_through_is_named_in_the_report(deployment, s3, conf, expected):
    run, states = run_dag(**conf)
    assert (states["resolve_snapshot"], states["write_report"]) == ("failed", "success")
    error = report_of(s3, run)["error"]
    assert (error["task"], error["kind"]) == ("resolve_snapshot", "ConfigError")
    assert expected in error["message"]


@pytest.mark.slow
def test_a_rollback_is_not_undone_by_the_next_run_without_new_reviews(deployment, s3, workspace):
    put_snapshot(s3, "2018-07-02", worlds.packed(worlds.before(REVIEWS, "2018-07-02")))
    run_dag(NOON.replace(month=7, day=3))
    older = read_json(s3, "channels/production.json")["to_model"]
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    run_dag(champion_tolerance=1)
    workspace.registry.rollback("production", by=Actor("test", "complaints"))
    run, states = run_dag(NOON.replace(day=8), champion_tolerance=1)
    assert (run.state, states["promote_model"]) == ("success", "skipped")
    assert read_json(s3, "channels/production.json")["to_model"] == older


@pytest.mark.slow
def test_a_flipped_byte_in_an_artifact_is_refused_by_name(deployment, s3, tmp_path, monkeypatch):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    run_dag()
    (users,) = (key for key in keys(s3, "artifacts/parse_reviews/") if key.endswith("users.parquet"))
    body = bytearray(s3.get_object(Bucket=BUCKET, Key=f"shop/{users}")["Body"].read())
    body[len(body) // 2] ^= 0xFF
    s3.put_object(Bucket=BUCKET, Key=f"shop/{users}", Body=bytes(body))
    monkeypatch.setenv("RECOMMENDER_CACHE", str(tmp_path / "another worker"))
    run, _ = run_dag(factors=8)
    error = report_of(s3, run)["error"]
    assert error["kind"] == "DataError"
    assert "users.parquet: SHA-256 is" in error["message"]
