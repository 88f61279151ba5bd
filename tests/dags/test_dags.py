"""What must hold for every DAG: imports, docs, owners, retries; and no connection or heavy module while parsing."""

import os
import subprocess
import sys

import pytest

from ..conftest import ROOT
from .harness import load_dag

RETRAIN = [
    "resolve_snapshot",
    "download_reviews",
    "stop_if_unchanged",
    "parse_reviews",
    "check_snapshot",
    "encode_interactions",
    "choose_model",
    "train_als",
    "fit_neighbours",
    "fit_popularity",
    "fit_rivals",
    "evaluate",
    "recall_gate",
    "refit",
    "upload_model",
    "promote_model",
    "write_report",
]
EVERYTHING = {
    "RECOMMENDER_APPROVAL": "1",
    "RECOMMENDER_WAIT_HOURS": "1",
    "RECOMMENDER_SCHEDULE": "0 6 * * 1",
    "RECOMMENDER_SCHEDULE_TIMEZONE": "Europe/Berlin",
    "RECOMMENDER_SNS_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:recommender",
}
FILES = sorted((ROOT / "dags").glob("*.py"))


def test_the_chain_is_complete_and_in_order(airflow_database):
    dag = load_dag()
    assert sorted(dag.task_dict) == sorted(RETRAIN)
    order = [task.task_id for task in dag.topological_sort()]
    others = {"fit_neighbours", "fit_popularity", "fit_rivals"}
    assert [name for name in order if name not in others] == [name for name in RETRAIN if name not in others]
    for name in ("choose_model", "fit_popularity", "fit_rivals"):
        assert dag.get_task(name).upstream_task_ids == {"encode_interactions"}
    for name in ("train_als", "fit_neighbours"):
        assert dag.get_task(name).upstream_task_ids == {"choose_model"}
    assert dag.get_task("evaluate").upstream_task_ids == {"train_als", *others}


def test_every_task_says_what_it_does_and_how_it_fails(airflow_database):
    dag = load_dag()
    assert dag.doc_md
    assert "recommender" in dag.tags
    for task in dag.tasks:
        assert len(task.doc_md) > 40, task.task_id
        assert (task.owner, task.retries, bool(task.retry_exponential_backoff)) == ("recommender", 3, True), (
            task.task_id
        )
        assert task.execution_timeout, task.task_id


def test_two_trainings_never_run_at_once(airflow_database):
    dag = load_dag()
    fitting = ("choose_model", "train_als", "fit_neighbours", "fit_rivals", "evaluate", "refit", "promote_model")
    tasks = [dag.get_task(name) for name in fitting]
    assert {task.max_active_tis_per_dag for task in tasks} == {1}
    assert {task.pool for task in tasks} == {"default_pool"}


@pytest.mark.parametrize("path", [*FILES, ROOT / "plugins" / "recommender.py"], ids=lambda path: path.name)
@pytest.mark.parametrize(
    "settings", [{}, {"RECOMMENDER_APPROVAL": "1", "RECOMMENDER_SCHEDULE_TIMEZONE": "Europe/Berlin"}]
)
def test_a_dag_file_imports_nothing_heavy_and_needs_no_environment(airflow_database, path, settings):
    code = f"""
import sys, socket
def refuse(*_): raise AssertionError("a DAG file opened a connection")
import airflow.sdk
socket.socket.connect = refuse
before = set(sys.modules)
import runpy; runpy.run_path({str(path)!r})
heavy = {{"numpy", "pandas", "scipy", "implicit", "pyarrow", "boto3", "botocore", "matplotlib", "optuna"}}
loaded = heavy & {{name.split(".")[0] for name in set(sys.modules) - before}}
assert not loaded, loaded
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECOMMENDER_")}
    environment |= {**settings, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
