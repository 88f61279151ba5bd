"""`recommender_batch` through Airflow, after a retraining."""

import json
import sys
import types

import pytest
from airflow.sdk import BaseNotifier

from include.recommender.models import memory
from include.recommender.registry.versions import manifest_key

from .. import worlds
from ..conftest import BUCKET
from .harness import NOON, keys, load_dag, put_snapshot, read_json, run_dag
from .test_runs import REVIEWS, SNAPSHOT


def run_batch(**conf):
    run = load_dag("recommender_batch").test(logical_date=NOON.replace(hour=13), run_conf=conf)
    return run, {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


@pytest.fixture
def sent(monkeypatch):
    """The alerts that a notifier of the deployment was given."""
    found = []

    class Keeper(BaseNotifier):
        def notify(self, context):
            found.append(context["alert"])

    module = types.ModuleType("shop_keeper")
    module.Keeper = Keeper
    monkeypatch.setitem(sys.modules, "shop_keeper", module)
    monkeypatch.setenv("RECOMMENDER_NOTIFIERS", json.dumps([{"class": "shop_keeper.Keeper"}]))
    return found


@pytest.mark.slow
def test_a_promotion_is_followed_by_lists_of_everybody(deployment, s3, workspace, monkeypatch):
    from include.orchestration import batch_tasks

    run, states = run_batch()
    assert (run.state, states["resolve_model"], states["write_manifest"]) == ("failed", "failed", "upstream_failed")

    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    run_dag()
    model_id = workspace.registry.channels.read("production").model_id
    run, states = run_batch(list_size=5, similar_items=3)
    assert (run.state, set(states.values())) == ("success", {"success"})
    (key,) = [key for key in keys(s3, f"recommendations/{model_id}/") if key.endswith("manifest.json")]
    manifest = read_json(s3, key)
    assert (manifest["model_id"], manifest["list_size"], manifest["similar_items"]) == (model_id, 5, 3)
    assert sum(part["rows"] for part in manifest["users"]) == 5 * sum(part["lists"] for part in manifest["users"])
    assert manifest["similar"]

    # The manifest is written though the version was retired meanwhile.
    with monkeypatch.context() as patched:
        patched.setattr(batch_tasks, "finish", retiring(model_id, batch_tasks.finish))
        run, _ = run_batch(list_size=6)
    assert run.state == "success"
    assert len([key for key in keys(s3, f"recommendations/{model_id}/") if key.endswith("manifest.json")]) == 2

    s3.copy_object(Bucket=BUCKET, Key=f"shop/{manifest_key(model_id)}", CopySource=f"{BUCKET}/kept")
    monkeypatch.setattr(memory, "free_bytes", lambda: 1)
    run, states = run_batch(list_size=7)
    assert (states["recommend_users"], states["write_manifest"]) == ("failed", "upstream_failed")
    record = read_json(s3, f"{journal_of(run)}/tasks/recommend_users.json")
    assert record["error"]["kind"] == "ConfigError"
    assert "0.00 GB are free" in record["error"]["message"]


def journal_of(run):
    from include.recommender.runs.journal import folder_id, run_name

    return f"reports/{run_name(folder_id('recommender_batch', run.run_id))}"


def retiring(model_id, finish):
    """`finish` of a batch whose version is retired before its manifest is written."""

    def finish_late(objects, plan, **parts):
        objects.client.copy_object(Bucket=BUCKET, Key="kept", CopySource=f"{BUCKET}/shop/{manifest_key(model_id)}")
        objects.delete([manifest_key(model_id)])
        return finish(objects, plan, **parts)

    return finish_late


def test_a_failed_batch_sends_the_error_of_its_task(deployment, airflow_database, sent):
    run, _ = run_batch()
    dag = load_dag("recommender_batch")
    dag.on_failure_callback({"dag": dag, "run_id": run.run_id, "reason": "task_failure"})
    (alert,) = sent
    assert alert.subject.startswith("recommender_batch: FAILED (")
    assert "resolve_model: NotFound: " in alert.text
    assert "no channel production that points to one" in alert.text


def test_without_a_notifier_there_is_no_callback(airflow_database):
    assert load_dag("recommender_batch").on_failure_callback is None


def test_a_wrong_schedule_of_the_retraining_leaves_it_as_it_is(airflow_database, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    from ..conftest import ROOT

    monkeypatch.setenv("RECOMMENDER_SCHEDULE", "on fridays")
    assert "recommender_batch" in DagBag(dag_folder=str(ROOT / "dags")).dags


def test_it_starts_when_production_moves(airflow_database):
    (asset,) = load_dag("recommender_batch").schedule
    assert asset.name == "recommender_production"


def test_users_and_items_are_never_computed_at_once(airflow_database):
    dag = load_dag("recommender_batch")
    assert dag.get_task("similar_items").upstream_task_ids == {"recommend_users"}
    for name in ("recommend_users", "similar_items"):
        assert (dag.get_task(name).pool, dag.get_task(name).max_active_tis_per_dag) == ("default_pool", 1)
