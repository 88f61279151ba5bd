"""
# Tune the recommender

Searches for a configuration that recommends better than the defaults, on time splits **inside** the train part: the
holdout of the gate of `recommender_retrain` is never used.

| task | what it does |
|---|---|
| resolve_snapshot, download_reviews, parse_reviews | as in `recommender_retrain`, whose outputs are reused |
| plan | chooses the searched parameters and the split times |
| ask_1, ask_2, ... | the configurations of a round, from the results so far (Optuna) |
| try_1, try_2, ... | one mapped task a configuration; a clearly worse one is stopped early |
| choose | the best against the defaults, with intervals, and on a newer split that chose no trial |
| write_config | the winner as `tuned/<id>.json`, permanently; `recommender_retrain` uses it by its parameter `tuned` |
| write_report | search history, importance of the parameters, best against defaults |

Every trial is an artifact: a repeated or longer search reuses its trials.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import TaskGroup, dag, task

from include.orchestration.deployment import training_pool
from include.orchestration.form import tune_params
from include.orchestration.links import ReportLink
from include.orchestration.task_defaults import task_defaults
from include.recommender.parameters.of_search import ROUNDS

# Only the pool: a wrong setting of the retraining must not take this DAG away.
TRAINING_POOL = training_pool()


@task(show_return_value_in_logs=False)
def resolve_snapshot() -> dict[str, Any]:
    """Finds the snapshot, and lists its objects with their versions."""
    from include.orchestration import tasks

    return tasks.resolve_snapshot()


@task(show_return_value_in_logs=False)
def download_reviews() -> dict[str, Any]:
    """Fetches the review files."""
    from include.orchestration import tasks

    return tasks.download_reviews()


@task(show_return_value_in_logs=False)
def parse_reviews() -> dict[str, Any]:
    """Turns lines into columns, or reuses the output of a retraining."""
    from include.orchestration import tasks

    return tasks.parse_reviews()


@task(show_return_value_in_logs=False)
def plan() -> dict[str, Any]:
    """Chooses the parameters to search and encodes the folds, once for all trials."""
    from include.orchestration import tuning

    return tuning.plan()


@task(show_return_value_in_logs=False)
def ask(number: int) -> list[dict[str, Any]]:
    """Asks Optuna for the next configurations; none if enough were tried."""
    from include.orchestration import tuning

    return tuning.ask_next(number)


@task(
    pool=TRAINING_POOL, max_active_tis_per_dag=1, execution_timeout=timedelta(hours=12), show_return_value_in_logs=False
)
def try_one(number: int, trial: dict[str, Any]) -> dict[str, Any]:
    """Fits one configuration on one split after the other; stops if it is clearly worse than the best so far."""
    from include.orchestration import tuning

    return tuning.try_one(number, trial)


@task(trigger_rule="none_failed", pool=TRAINING_POOL, show_return_value_in_logs=False)
def choose() -> dict[str, Any]:
    """Compares the best with the defaults, also on a split that chose no trial."""
    from include.orchestration import tuning

    return tuning.choose()


@task(show_return_value_in_logs=False)
def write_config() -> str:
    """Stores the winner as `tuned/<id>.json`, with its evidence."""
    from include.orchestration import tuning

    return tuning.write_config()


@task(trigger_rule="all_done", show_return_value_in_logs=False)
def write_report() -> str:
    """Writes `report.html` and `report.json` of the search, also of a failed one."""
    from include.orchestration import tuning

    return tuning.write_report()


@dag(
    schedule=None,
    start_date=datetime(2018, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["recommender"],
    doc_md=__doc__,
    params=tune_params(),
    default_args=task_defaults(),
)
def recommender_tune() -> None:
    """Wiring only; the work is in include/. Tasks read outputs by task name, so an edge is only an order."""
    with TaskGroup("prepare", prefix_group_id=False):
        last: Any = plan()
        resolve_snapshot() >> download_reviews() >> parse_reviews() >> last
    for number in range(1, ROUNDS + 1):
        with TaskGroup(f"round_{number}", prefix_group_id=False):
            trial = ask.override(task_id=f"ask_{number}")(number)
            tried = try_one.override(task_id=f"try_{number}").partial(number=number).expand(trial=trial)
        last >> trial
        last = tried
    with TaskGroup("conclude", prefix_group_id=False):
        choice, kept = choose(), write_config()
        choice >> kept
    last >> choice
    kept >> write_report().as_teardown(on_failure_fail_dagrun=False)


TUNE = recommender_tune()
for each in TUNE.tasks:
    if not each.is_mapped:
        each.operator_extra_links = (ReportLink(),)
