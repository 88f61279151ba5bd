"""
# Tune the recommender

Searches for a configuration that recommends better than the defaults, on time splits **inside** the train part: the
holdout that the gate of `recommender_retrain` judges on is never looked at.

| task | what it does |
|---|---|
| resolve_snapshot, download_reviews, parse_reviews | as in `recommender_retrain`; what was parsed there is reused |
| plan | which parameters are searched, and the points in time at which they are judged |
| ask_1, ask_2, ... | the configurations of a round, from the results so far (Optuna) |
| try_1, try_2, ... | one mapped task a configuration; one without hope is stopped early |
| choose | the best against the defaults, with intervals, and on a newer cut that the search never looked at |
| write_config | the winner as `tuned/<id>.json`, for good; `recommender_retrain` takes it by its parameter `tuned` |
| write_report | search history, importance of the parameters, best against defaults |

Every trial is an artifact: a search that is run again, or with more trials, reuses those that it had.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from include.orchestration.deployment import Deployment
from include.orchestration.fields import ROUNDS
from include.orchestration.form import tune_params

DEPLOYMENT = Deployment.from_environment()


@task
def resolve_snapshot() -> dict[str, Any]:
    """Finds the snapshot, and lists its objects with their versions."""
    from include.orchestration import tasks

    return tasks.resolve_snapshot()


@task
def download_reviews(resolved: dict[str, Any]) -> dict[str, Any]:
    """Fetches the review files."""
    from include.orchestration import tasks

    return tasks.download_reviews(resolved)


@task
def parse_reviews(downloaded: dict[str, Any]) -> dict[str, Any]:
    """Turns lines into columns, or reuses what a retraining made of them."""
    from include.orchestration import tasks

    return tasks.parse_reviews(downloaded)


@task
def plan(parsed: dict[str, Any]) -> dict[str, Any]:
    """Chooses the parameters to search and encodes the folds, once for all trials."""
    from include.orchestration import tuning

    return tuning.plan(parsed)


@task
def ask(planned: dict[str, Any], earlier: list[Any], number: int) -> list[dict[str, Any]]:
    """Asks Optuna what to try next; nothing when enough were tried."""
    from include.orchestration import tuning

    return tuning.ask_next(planned, earlier, number)


@task(pool=DEPLOYMENT.training_pool, max_active_tis_per_dag=1, execution_timeout=timedelta(hours=12))
def try_one(planned: dict[str, Any], earlier: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Fits one configuration at one cut after the other; stops where it has no hope against the best so far."""
    from include.orchestration import tuning

    return tuning.try_one(planned, earlier, asked)


@task(trigger_rule="none_failed", pool=DEPLOYMENT.training_pool)
def choose(planned: dict[str, Any], tried: list[Any]) -> dict[str, Any]:
    """Compares the best with the defaults, also on a cut that the search never looked at."""
    from include.orchestration import tuning

    return tuning.choose(planned, tried)


@task
def write_config(
    resolved: dict[str, Any], parsed: dict[str, Any], planned: dict[str, Any], choice: dict[str, Any]
) -> str:
    """Keeps the winner as `tuned/<id>.json`, with its evidence."""
    from include.orchestration import tuning

    return tuning.write_config(resolved, parsed, planned, choice)


@task(trigger_rule="all_done")
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
    default_args={
        "owner": "recommender",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=3),
    },
)
def recommender_tune() -> None:
    """Wiring only; the work is in include/."""
    resolved = resolve_snapshot()
    parsed = parse_reviews(download_reviews(resolved))
    planned = plan(parsed)
    tried: list[Any] = []
    for number in range(1, ROUNDS + 1):
        asked = ask.override(task_id=f"ask_{number}")(planned, list(tried), number)
        mapped = try_one.override(task_id=f"try_{number}").partial(planned=planned, earlier=list(tried))
        tried.append(mapped.expand(asked=asked))
    choice = choose(planned, tried)
    kept = write_config(resolved, parsed, planned, choice)
    kept >> write_report().as_teardown(on_failure_fail_dagrun=False)


recommender_tune()
