"""
# Retrain the recommender

From a dated snapshot of reviews in S3 to a model that is proven better than popularity, published to S3.

| task | what it does |
|---|---|
| wait_for_snapshot | only where configured: waits, deferred, for the snapshot of the run's date |
| resolve_snapshot | which snapshot: the param, else the newest dated on or before the run's date |
| download_reviews | its files, pinned to their versions, verified, onto this worker's disk |
| stop_if_unchanged | ends the run as a success if the channel's model has the same reviews and configuration |
| parse_reviews | review lines of the 2014, 2018 and 2023 layouts into coded columns; bad lines into quarantine |
| check_snapshot | this snapshot against the one before it; a collapse stops the run, with the numbers |
| encode_interactions | as_of, de-duplication, time split, confidence matrix |
| choose_model | on a split inside train: family, similarity, factors, ageing, the weight of recent popularity |
| train_als | the candidate's item factors, trained on the interactions before the split time |
| fit_neighbours | the nearest neighbours of each item, for the candidate and for plain item-kNN |
| fit_popularity | the baselines: all-time, recent and decayed popularity |
| fit_rivals | plain ALS: a candidate must not be clearly worse than it, or than item-kNN |
| evaluate | candidate, rivals, popularity and champion on the same users and the whole catalogue |
| recall_gate | PROMOTE, HOLD or REJECT by a paired bootstrap; HOLD and REJECT fail the task, and nothing is published |
| approve | only where configured: a person decides; a rejection fails the run, and nothing is published |
| refit | the same configuration on everything before as_of |
| upload_model | the bundle into the registry, create-only |
| promote_model | the channel to the new version, by compare-and-swap; skipped where it points to newer knowledge |
| write_report | HTML and JSON under `reports/<run>/`, whatever happened |

A run uses the snapshot and the as_of of **its own date**, never "now": so one backfill walks many snapshots, and
another (snapshot pinned) walks one big dump through time. Outputs of the same inputs are reused.

The button **Report** on every task that has ended opens the run's report, and so does the run's page, under
**Recommender report**. Where `promote_model` moved a channel, it updates the asset `recommender_<channel>`, with
`model_id`, `channel` and `uri`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk import TaskGroup, dag, task

from include.orchestration.deployment import Deployment
from include.orchestration.failures import RESULTS_ARE_FINAL
from include.orchestration.form import retrain_params
from include.orchestration.links import ReportLink
from include.orchestration.remote.decorator import heavy_task
from include.orchestration.schedule import CHANNELS
from include.orchestration.task_defaults import task_defaults

DEPLOYMENT = Deployment.from_environment()
heavy = partial(heavy_task, DEPLOYMENT.place)

# Training takes the machine's memory: one at a time, over all runs, where the pool has one slot. `choose_model` fits
# on an inner split; `evaluate` and `promote_model` may have to fit a champion's configuration again.
TRAINING: dict[str, Any] = {
    "pool": DEPLOYMENT.training_pool,
    "max_active_tis_per_dag": 1,
    "execution_timeout": timedelta(hours=12),
}


@task(show_return_value_in_logs=False)
def resolve_snapshot() -> dict[str, Any]:
    """Finds the snapshot, and lists its objects with their versions. Fails if there is none, or it is empty."""
    from include.orchestration import tasks

    return tasks.resolve_snapshot()


@task(show_return_value_in_logs=False)
def download_reviews() -> dict[str, Any]:
    """Fetches the review files by parallel ranged reads; a file that changes during the download is an error."""
    from include.orchestration import tasks

    return tasks.download_reviews()


@task.short_circuit(show_return_value_in_logs=False)
def stop_if_unchanged() -> bool:
    """Ends the run as a success if the channel's model has the same reviews and configuration; `force` overrides."""
    from include.orchestration import tasks

    return tasks.stop_if_unchanged()


@heavy()
def parse_reviews() -> dict[str, Any]:
    """Turns lines into columns. A damaged file, or more than `max_bad_share` bad lines, fails the task."""
    from include.orchestration import tasks

    return tasks.parse_reviews()


@task(show_return_value_in_logs=False)
def check_snapshot() -> None:
    """Compares rows, users, items, shares and time range with the snapshot before, and stops on a collapse."""
    from include.orchestration import tasks

    tasks.check_snapshot()


@heavy()
def encode_interactions() -> dict[str, Any]:
    """Drops reviews after as_of, keeps one interaction a (user, item), holds out the newest share."""
    from include.orchestration import tasks

    return tasks.encode_interactions()


@heavy(**TRAINING)
def choose_model() -> dict[str, Any]:
    """Chooses inside train: ALS, item-kNN, EASE or a sum, the factors, ageing, the weight of recent popularity."""
    from include.orchestration import tasks

    return tasks.choose_model()


@heavy(**TRAINING)
def train_als() -> dict[str, Any]:
    """Fits the candidate. Fails at once, with the arithmetic, if it needs more than the free memory."""
    from include.orchestration import tasks

    return tasks.train_als()


@heavy(**TRAINING)
def fit_neighbours() -> dict[str, Any]:
    """Finds the neighbours of each item, for the candidate and for its rival item-kNN. Fails at once without memory."""
    from include.orchestration import tasks

    return tasks.fit_neighbours()


@heavy(**TRAINING)
def fit_rivals() -> dict[str, Any]:
    """Trains plain ALS. A candidate that is clearly worse than it, or than item-kNN, is not promoted."""
    from include.orchestration import tasks

    return tasks.fit_rivals()


@heavy()
def fit_popularity() -> dict[str, Any]:
    """Counts the popularity lists that the candidate has to beat."""
    from include.orchestration import tasks

    return tasks.fit_popularity()


@heavy(**TRAINING)
def evaluate() -> dict[str, Any]:
    """Ranks the whole catalogue for every judged user; seen items are excluded."""
    from include.orchestration import tasks

    return tasks.evaluate()


@task(show_return_value_in_logs=False)
def recall_gate() -> dict[str, Any]:
    """Prints the table and the verdict. A failure is a result: the candidate is not shown to be better."""
    from include.orchestration import tasks

    return tasks.recall_gate()


@heavy(**TRAINING)
def refit() -> dict[str, Any]:
    """Fits again on everything before as_of, so that the published model knows the newest data."""
    from include.orchestration import tasks

    return tasks.refit()


@heavy()
def upload_model() -> dict[str, Any]:
    """Writes the bundle under `models/<model_id>/`, its manifest last."""
    from include.orchestration import tasks

    return tasks.upload_model()


@task(outlets=[CHANNELS], show_return_value_in_logs=False, **TRAINING)
def promote_model() -> dict[str, Any]:
    """Moves the channel. Skipped, with the reason, if it points to this model or to newer knowledge already.

    If the channel moved since `evaluate`, the candidate is judged again, against the new champion.
    """
    from include.orchestration import tasks

    return tasks.promote_model()


@task(trigger_rule="all_done", show_return_value_in_logs=False)
def write_report() -> str:
    """Writes `report.html` and `report.json`, also of a failed run. Its own failure does not fail the run."""
    from include.orchestration import tasks

    return tasks.write_report()


def wait_for_snapshot(patience: timedelta) -> Any:
    """Only if RECOMMENDER_WAIT_HOURS is set."""
    from include.orchestration.waiting import WaitForSnapshot

    about = "Waits, deferred, until the snapshot of the run's date (or the param `snapshot`) has landed; then gives up."
    return WaitForSnapshot(task_id="wait_for_snapshot", patience=patience, doc_md=about)


def approve(patience: timedelta) -> Any:
    """Only if RECOMMENDER_APPROVAL is set."""
    from include.orchestration.approval import Approve, questions

    about = (
        "Asks a person, with the gate's table and the report. A rejection, or no answer in time, fails the run, and "
        "nothing is published. No approval is needed if the run moves no channel, as for an older date."
    )
    return Approve(task_id="approve", patience=patience, doc_md=about, params=questions())


def notify_failure(context: Any) -> None:
    """Notifies about a failed run, including HOLD and REJECT, with the gate's table."""
    from include.orchestration import alerts

    alerts.run_failed(context)


@dag(
    schedule=DEPLOYMENT.schedule,
    start_date=datetime(2018, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    tags=["recommender"],
    doc_md=__doc__,
    params=retrain_params(),
    on_failure_callback=notify_failure if DEPLOYMENT.notifiers else None,
    default_args=task_defaults(retry_policy=RESULTS_ARE_FINAL),
)
def recommender_retrain() -> None:
    """Wiring only; the work is in include/. Tasks read outputs by task name, so an edge is only an order."""

    with TaskGroup("prepare", prefix_group_id=False):
        first = resolve_snapshot()
        if DEPLOYMENT.wait:
            wait_for_snapshot(DEPLOYMENT.wait) >> first
        encoded = encode_interactions()
        first >> download_reviews() >> stop_if_unchanged() >> parse_reviews() >> check_snapshot() >> encoded
    with TaskGroup("train", prefix_group_id=False):
        chosen, fitted, others = choose_model(), [train_als(), fit_neighbours()], [fit_popularity(), fit_rivals()]
        chosen >> fitted
    with TaskGroup("judge", prefix_group_id=False):
        evaluated, gated = evaluate(), recall_gate()
        evaluated >> gated
        if DEPLOYMENT.approval:
            approved = approve(DEPLOYMENT.approval)
            gated >> approved
    with TaskGroup("publish", prefix_group_id=False):
        refitted, promoted = refit(), promote_model()
        refitted >> upload_model() >> promoted
    encoded >> [chosen, *others]
    [*fitted, *others] >> evaluated
    (approved if DEPLOYMENT.approval else gated) >> refitted
    promoted >> write_report().as_teardown(on_failure_fail_dagrun=False)


RETRAIN = recommender_retrain()
for each in RETRAIN.tasks:
    each.operator_extra_links = (ReportLink(),)
