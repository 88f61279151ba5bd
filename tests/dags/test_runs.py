"""The whole DAG against a real S3 server."""

from .. import worlds
from .harness import keys, put_snapshot, read_json, report_of, run_dag


def test_reviews_become_a_promoted_model(deployment, s3):
    put_snapshot(s3, "2018-08-27", worlds.packed(worlds.reviews()))
    run, states = run_dag()
    assert run.state == "success"
    assert set(states.values()) == {"success"}
    report = report_of(s3, run)
    assert report["verdict"]["decision"] == "PROMOTE"
    assert report["error"] is None
    pointer = read_json(s3, "channels/production.json")
    assert pointer["to_model"] == report["model"]["model_id"]
    assert f"models/{pointer['to_model']}/manifest.json" in keys(s3, "models/")
