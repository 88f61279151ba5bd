"""A report is written whatever happened to the run, its journal and its artifacts."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from include.recommender.config import GateConfig, RetrainConfig
from include.recommender.evaluation.gate import paired_bootstrap
from include.recommender.runs.journal import Journal
from include.recommender.stages import prepare
from include.recommender.stages.run_report import write_report
from include.recommender.stages.workspace import Workspace

from . import runs
from .runs import collect, render_html

SECTIONS = {
    "resolve_snapshot": "snapshot",
    "parse_reviews": "funnel",
    "encode_interactions": "fold",
    "choose_model": "chosen",
    "train_als": "training",
    "evaluate": "judged",
    "recall_gate": "verdict",
}
# Sections from the counts in the manifest, which stay when a file is damaged; stages of which files are read.
COUNTED = {"resolve_snapshot", "parse_reviews", "encode_interactions", "choose_model"}
READ = {"resolve_snapshot", "train_als", "evaluate", "recall_gate"}


def test_a_whole_run_is_reported_in_plain_json(report):
    assert json.loads(json.dumps(report)) == report
    assert (report["error"], report["unreadable"], report["finished"]) == (None, {}, True)
    assert report["model"]["promoted"]
    assert [row["task"] for row in report["tasks"]] == [*runs.ORDER, "promote_model", "upload_model"]
    assert report["files"] == ["2018-08-27/reviews.jsonl.gz"]
    assert not report["generated_sample"]
    assert set(report["lineage"]) == set(runs.ORDER)
    assert f"Verdict: {report['verdict']['decision']}" in report["table"]
    values = {row["param"]: (row["value"], row["default"]) for row in report["configuration"]}
    assert values["factors"] == (8, 64)
    assert values["alpha"][0] == values["alpha"][1]


def test_intervals_of_recall_are_those_of_the_users_that_were_judged(workspace):
    journal, made = runs.run(workspace)
    report = collect(journal, workspace.artifacts)
    assert set(report["recall_intervals"]) == set(report["judged"])
    recall = np.load(workspace.artifacts.path(made["evaluate"]) / "recall_candidate.npy")
    expected = paired_bootstrap(recall, GateConfig(resamples=runs.PARAMS["resamples"]))
    found = report["recall_intervals"]["candidate"]
    assert (found["mean"], found["low"], found["high"]) == (expected.mean, expected.low, expected.high)
    assert found["low"] < report["judged"]["candidate"]["means"]["recall@10"] < found["high"]


def _damage(workspace, artifact, how):
    """Spoil an artifact in the store; return what repairs it."""
    store, folder = workspace.root, f"artifacts/{artifact.stage}/{artifact.fingerprint}"
    before = {row.key: store.read(row.key) for row in list(store.walk(f"{folder}/"))}
    for key, data in before.items():
        if how == "gone":
            store.client.delete_object(Bucket=store.bucket, Key=f"{store.prefix}/{key}")
        elif how == "no manifest" and key.endswith("/manifest.json"):
            store.write(key, b"{}")
        elif how == "flipped byte" and not key.endswith("/manifest.json"):
            middle = len(data) // 2
            store.write(key, data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    return lambda: [store.write(key, data) for key, data in before.items()]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gone", "no manifest", "flipped byte"])
def test_a_lost_or_damaged_artifact_costs_its_own_section_only(workspace, tmp_path, how):
    journal, made = runs.run(workspace)
    whole = collect(journal, workspace.artifacts)
    for stage, section in SECTIONS.items():
        repair = _damage(workspace, made[stage], how)
        elsewhere = Workspace(workspace.root, workspace.snapshots, tmp_path / f"another worker {stage}")
        report = collect(journal, elsewhere.artifacts)
        repair()
        others = [name for name in SECTIONS.values() if name != section]
        assert [report[name] for name in others] == [whole[name] for name in others], stage
        if how == "flipped byte" and stage in COUNTED:
            assert report[section] == whole[section], stage
        else:
            assert not report[section], stage
        if how != "flipped byte" or stage in READ:
            assert made[stage].uri in report["unreadable"][stage]
            assert f"{stage} could not be read" in render_html(report)


def test_damaged_records_are_named_and_the_others_reported(workspace):
    journal, _ = runs.run(workspace)
    workspace.root.write(f"{journal.folder}/tasks/train_als.json", b"{")
    workspace.root.write(f"{journal.folder}/tasks/evaluate.json", b'{"task": "evaluate"}')
    workspace.root.write(f"{journal.folder}/run.json", b"[]")
    report = collect(journal, workspace.artifacts)
    assert set(report["unreadable"]) == {"tasks/train_als", "tasks/evaluate", "run"}
    assert "train_als.json: not JSON" in report["unreadable"]["tasks/train_als"]
    assert report["run"] is None
    assert report["configuration"] == []
    assert report["verdict"] is not None
    page = render_html(report)
    assert page.count("could not be read") >= 3


def test_a_run_of_which_nothing_is_known_has_a_report_too(workspace):
    uri = write_report(workspace, "manual__nothing")
    assert uri.endswith("/reports/manual__nothing/report.html")
    body = json.loads(workspace.root.read("reports/manual__nothing/report.json"))
    assert (body["error"], body["table"], body["model"], body["tasks"]) == (None, None, None, [])
    assert b"No task has begun" in workspace.root.read("reports/manual__nothing/report.html")


def test_a_task_that_never_ended_was_killed_only_if_the_run_has_ended(workspace):
    journal = runs.begin(workspace)
    journal.write(runs.record("resolve_snapshot", "running"))
    going = collect(journal, workspace.artifacts)
    assert (going["error"], going["finished"]) == (None, False)
    assert "RUNNING" in render_html(going)
    journal.write(runs.record("write_report", "running"))
    ended = collect(journal, workspace.artifacts)
    assert (ended["error"]["task"], ended["error"]["kind"]) == ("resolve_snapshot", "Killed")
    assert [row["task"] for row in ended["tasks"]] == ["resolve_snapshot"]


def test_a_later_try_replaces_a_record(workspace):
    journal = runs.begin(workspace)
    journal.write(runs.failed("download_reviews", "TransientError", "the store answered 503"))
    assert collect(journal, workspace.artifacts)["error"]["kind"] == "TransientError"
    journal.write(runs.record("download_reviews", try_number=2))
    assert collect(journal, workspace.artifacts)["error"] is None


def test_the_gates_refusal_is_a_result_and_a_lost_promotion_is_an_error(workspace):
    journal = Journal(workspace.root, "manual__2")
    journal.write(runs.failed("recall_gate", "GateRejected", "HOLD"))
    assert collect(journal, workspace.artifacts)["error"] is None
    journal.write(runs.failed("promote_model", "GateRejected", "the channel moved"))
    error = collect(journal, workspace.artifacts)["error"]
    assert error == {"task": "promote_model", "kind": "GateRejected", "message": "the channel moved"}


def test_sample_reviews_are_recognised_by_the_names_of_their_files(workspace):
    journal, _ = runs.run(workspace, name="generated_sample_1.jsonl.gz")
    report = collect(journal, workspace.artifacts)
    assert report["generated_sample"]
    page = render_html(report)
    title = page[page.index("<title>") : page.index("</title>")]
    assert "generated sample reviews" in title
    assert "on generated sample reviews</h1>" in page


def test_records_of_an_earlier_try_of_the_whole_run_are_not_reported(workspace):
    journal = runs.begin(workspace)
    journal.write(runs.record("promote_model", facts={"moved": True, "channel": "production", "why": "verdict"}))
    journal.write(runs.record("upload_model", facts={"model_id": "m", "uri": "s3://x/m", "verdict": "PROMOTE"}))
    later = runs.AS_OF.replace(hour=5).isoformat()
    journal.write(runs.record("wait_for_snapshot"))
    journal.write(runs.record("resolve_snapshot", started_at=later))
    journal.write(runs.record("stop_if_unchanged", started_at=later, facts={"unchanged": "m"}))
    report = collect(journal, workspace.artifacts)
    assert [row["task"] for row in report["tasks"]] == ["wait_for_snapshot", "resolve_snapshot", "stop_if_unchanged"]
    assert (report["model"], report["unchanged"]) == (None, "m")


def test_the_log_reports_the_folds_statistics_once_with_dates(workspace, caplog):
    with caplog.at_level("INFO", logger="include"):
        _, made = runs.run(workspace)
    output = "\n".join(record.getMessage() for record in caplog.records)
    assert "1 file," in output
    assert re.search(r"split_s +2018-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", output)
    assert output.count("\ncold_users ") == 1
    config = RetrainConfig.from_params(runs.PARAMS).encode
    caplog.clear()
    with caplog.at_level("INFO", logger="include"):
        prepare.encode_interactions(workspace, made["parse_reviews"], runs.AS_OF, config)
        everything = replace(config, holdout_fraction=0.0)
        prepare.encode_interactions(workspace, made["parse_reviews"], runs.AS_OF, everything)
    output = "\n".join(record.getMessage() for record in caplog.records)
    assert "cold_users" not in output
    assert output.count("train_items") == 1
    assert re.search(r"Fold: [\d,]+ train, [\d,]+ holdout interactions, split time 2018-", output)


def test_an_early_error_on_generated_reviews_is_reported_from_what_lies_in_the_store(workspace):
    journal = runs.begin(workspace)
    journal.write(runs.failed("resolve_snapshot", "NotFound", "none dated so early"))
    assert collect(journal, workspace.artifacts, workspace.snapshots)["generated_sample"] is False
    workspace.snapshots.write("2018-08-27/generated_sample.jsonl.gz", b"x")
    assert collect(journal, workspace.artifacts, workspace.snapshots)["generated_sample"] is True
    workspace.snapshots.write("2018-09-27/reviews.jsonl.gz", b"x")
    assert collect(journal, workspace.artifacts, workspace.snapshots)["generated_sample"] is False


def test_what_the_snapshot_checks_compared_is_reported_and_a_damaged_fact_is_named(workspace):
    journal = runs.begin(workspace)
    check = {"what": "items", "before": "100", "now": "10", "allowed": "at least 80", "passed": False}
    journal.write(runs.record("check_snapshot", facts={"compared": [check]}))
    assert collect(journal, workspace.artifacts)["compared"] == [check]
    journal.write(runs.record("check_snapshot", facts={"compared": [{**check, "passed": "no"}]}))
    report = collect(journal, workspace.artifacts)
    assert report["compared"] == []
    assert "[0].passed: Expected `bool`" in report["unreadable"]["tasks/check_snapshot"]


def test_a_published_model_of_another_shape_is_named(workspace):
    journal = runs.begin(workspace)
    journal.write(runs.record("upload_model", facts={"model_id": 7, "uri": "s3://x/m", "verdict": "PROMOTE"}))
    report = collect(journal, workspace.artifacts)
    assert report["model"] is None
    assert "model_id: Expected `str`, got `int`" in report["unreadable"]["tasks/upload_model"]
