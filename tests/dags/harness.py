"""Runs of the real DAG through Airflow."""

import json
from datetime import UTC, datetime

from ..candidates import FIXED
from ..conftest import BUCKET, ROOT

NOON = datetime(2018, 9, 1, 12, tzinfo=UTC)


def load_dag(dag_id="recommender_retrain"):
    """A fresh copy, since the conf of one `dag.test()` leaks into the next of the same object."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags" / f"{dag_id}.py"))
    assert not bag.import_errors
    return bag.dags[dag_id]


def sync_dags():
    """Write the DAGs into Airflow's database, as the DAG processor does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(DagBag(dag_folder=str(ROOT / "dags")), "dags-folder", None)


def run_dag(logical_date=NOON, *, chooses=False, **conf):
    """Run to the end; return state and task -> state. To choose takes long, so by default nothing is chosen."""
    fixed = {} if chooses or "tuned" in conf else FIXED
    run = load_dag().test(logical_date=logical_date, run_conf=fixed | conf)
    return run, {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def put_snapshot(s3, date, data, name="reviews.jsonl.gz"):
    """One review file of a snapshot."""
    s3.put_object(Bucket=BUCKET, Key=f"shop/snapshots/{date}/{name}", Body=data)


def read_json(s3, key):
    """A JSON object below the root."""
    return json.loads(s3.get_object(Bucket=BUCKET, Key=f"shop/{key}")["Body"].read())


def report_of(s3, run):
    """The run's report."""
    from include.recommender.runs.journal import run_name

    return read_json(s3, f"reports/{run_name(run.run_id)}/report.json")


def keys(s3, prefix):
    """Keys below a prefix of the root."""
    rows = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"shop/{prefix}").get("Contents", [])
    return [row["Key"].removeprefix("shop/") for row in rows]
