"""The training pool: a run whose pool cannot start a task fails at once. Airflow alone would wait for ever.

A task cannot read pools, and the scheduler only logs that one is missing. So a listener in the scheduler checks the
pools when a run begins, and stores the problem as an XCom for the first task.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.recommender.errors import ConfigError
from include.recommender.runs.dag_names import BATCH_DAG, RETRAIN_DAG, TUNE_DAG

from .deployment import TRAINING_POOL

if TYPE_CHECKING:
    from .run import Run

log = logging.getLogger(__name__)

KEY = "pool_problem"
# DAG -> its last task, which holds the XCom: starting it removes that.
HOLDERS = {RETRAIN_DAG: "write_report", TUNE_DAG: "write_report", BATCH_DAG: "write_manifest"}


def require_pool(run: Run) -> None:
    """Raise ConfigError if a pool of this run cannot start its tasks."""
    problem = run.pull(HOLDERS.get(run.facts.dag_id, HOLDERS[RETRAIN_DAG]), KEY)
    if problem:
        raise ConfigError(str(problem))


def check_pools(dag_run: Any) -> None:
    """Store the pool problem of a run that begins; runs in the scheduler, in its transaction."""
    if dag_run.dag_id not in HOLDERS:
        return
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    about = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id, "task_id": HOLDERS[dag_run.dag_id]}
    mine = (TaskInstance.dag_id == dag_run.dag_id, TaskInstance.run_id == dag_run.run_id)
    used = session.scalars(select(TaskInstance.pool).where(*mine).distinct())
    slots = {str(pool.pool): pool.slots for pool in session.scalars(select(Pool))}
    problem = pool_problem(sorted(used), slots)
    if problem:
        log.error("%s, run %s: %s", dag_run.dag_id, dag_run.run_id, problem)
    # Always set: Airflow logs a missing XCom as an error. No savepoint: the scheduler forbids commits in its
    # transaction, savepoints included. Not serialized: tasks read the column as it is, and would get the quotes.
    XComModel.set(key=KEY, value=problem or "", serialize=False, session=session, **about)


def pool_problem(used: list[str], slots: dict[str, int]) -> str | None:
    """Return why the tasks of a run cannot start, and the fix; None if they can.

    Parameters
    ----------
    slots : name -> number of slots of every pool; -1 is without limit
    """
    idle = [name for name in used if slots.get(name, 0) == 0]
    if not idle:
        return None
    found = "; ".join(f"the pool {name} {'has no slots' if name in slots else 'does not exist'}" for name in idle)
    return (
        f"{found}, so its tasks would wait for ever. Make it: airflow pools set {idle[0]} 1 'One training at a time'. "
        f"Or name another in {TRAINING_POOL}. Then clear this task."
    )
