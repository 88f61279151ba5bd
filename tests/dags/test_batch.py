"""`recommender_batch` through Airflow, after a retraining."""

from .. import worlds
from .harness import NOON, keys, load_dag, put_snapshot, read_json, run_dag
from .test_runs import REVIEWS, SNAPSHOT


def run_batch(**conf):
    run = load_dag("recommender_batch").test(logical_date=NOON.replace(hour=13), run_conf=conf)
    return run, {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def test_a_promotion_is_followed_by_lists_of_everybody(deployment, s3, workspace):
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


def test_it_starts_when_production_moves():
    (asset,) = load_dag("recommender_batch").schedule
    assert asset.name == "recommender_production"
