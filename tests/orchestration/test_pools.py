"""A training pool that cannot start a task: seen by the scheduler's listener, reported by the run's first task."""

from types import SimpleNamespace

import pytest

from include.orchestration import running as run_module
from include.orchestration import tasks
from include.orchestration.pools import HOLDERS, KEY, check_pools, pool_problem

from ..dags.harness import sync_dags
from .test_run import context


@pytest.mark.parametrize(
    ("used", "slots", "expected"),
    [
        (["default_pool", "gpu"], {"default_pool": 128}, "the pool gpu does not exist"),
        (["default_pool", "gpu"], {"default_pool": 128, "gpu": 0}, "the pool gpu has no slots"),
        (["default_pool"], {"default_pool": 0}, "the pool default_pool has no slots"),
        (["default_pool", "gpu"], {"default_pool": 128, "gpu": 1}, None),
        (["default_pool", "gpu"], {"default_pool": 128, "gpu": -1}, None),
    ],
)
def test_a_pool_needs_slots(used, slots, expected):
    found = pool_problem(used, slots)
    assert found is None if expected is None else expected in found


def waiting_run(session, pool):
    """A run of the tune DAG as the scheduler starts it, with a task in a pool."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from pendulum import now

    dag = SerializedDagModel.get("recommender_tune", session=session).dag
    return dag.create_dagrun(
        run_id=f"pool_{pool}",
        logical_date=None,
        data_interval=None,
        run_after=now("UTC"),
        conf={},
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )


@pytest.mark.filterwarnings("ignore:Multiple rows returned:sqlalchemy.exc.SAWarning")
@pytest.mark.slow
def test_the_listener_of_the_scheduler_leaves_the_problem_and_takes_it_away(airflow_database, monkeypatch):
    from airflow.listeners.listener import get_listener_manager
    from airflow.models.pool import Pool
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import prohibit_commit
    from sqlalchemy import select

    monkeypatch.setenv("RECOMMENDER_TRAINING_POOL", "no_such_pool")

    def left(session, run):
        rows = session.scalars(
            select(XComModel).filter_by(key=KEY, run_id=run.run_id, task_id=HOLDERS["recommender_tune"])
        )
        return [row.value for row in rows]  # as the API hands it to a task

    hook = get_listener_manager().hook
    sync_dags()
    with create_session() as session, prohibit_commit(session) as guard:  # as the scheduler calls listeners
        run = waiting_run(session, "no_such_pool")
        hook.on_dag_run_running(dag_run=run, msg="started")
        guard.commit()
        (problem,) = left(session, run)
        assert "the pool no_such_pool does not exist" in problem
        hook.on_dag_run_running(dag_run=run, msg="started")
        assert left(session, run) == [problem]
        Pool.create_or_update_pool("no_such_pool", 0, "test", include_deferred=False, session=session)
        session.flush()
        hook.on_dag_run_running(dag_run=run, msg="started")
        assert "the pool no_such_pool has no slots" in left(session, run)[0]
        session.scalar(select(Pool).where(Pool.pool == "no_such_pool")).slots = 1
        session.flush()
        hook.on_dag_run_running(dag_run=run, msg="started")
        assert left(session, run) == [""]
        session.rollback()


def test_a_run_of_another_dag_is_none_of_its_business():
    # No run that SQLAlchemy knows: looking further than its DAG would raise.
    assert check_pools(SimpleNamespace(dag_id="another", run_id="r")) is None
    with pytest.raises(Exception, match="SimpleNamespace"):
        check_pools(SimpleNamespace(dag_id="recommender_retrain", run_id="r"))


def test_the_first_task_fails_with_what_to_do(deployment, workspace, monkeypatch):
    asked = []

    def pull(task_ids, key, map_indexes):
        asked.append((task_ids, key, map_indexes))
        return pool_problem(["gpu"], {})

    about = context() | {"ti": SimpleNamespace(task_id="resolve_snapshot", try_number=1, xcom_pull=pull)}
    monkeypatch.setattr(run_module, "get_current_context", lambda: about)
    with pytest.raises(Exception, match=r"ConfigError: the pool gpu does not exist, .* airflow pools set gpu 1"):
        tasks.resolve_snapshot()
    assert asked == [("write_report", KEY, -1)]
