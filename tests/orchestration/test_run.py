"""A run's parameters and dates, checked again in the task."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from include.orchestration.failures import RESULTS_ARE_FINAL, to_airflow
from include.orchestration.form import retrain_params
from include.orchestration.running import open_run
from include.recommender.config import RetrainConfig
from include.recommender.errors import ConfigError, DataError, GateRejected, TransientError
from include.recommender.parameters import RunConfig

MONDAY = datetime(2018, 9, 3, tzinfo=UTC)


def context(logical_date=MONDAY, **params):
    run = SimpleNamespace(
        dag_id="recommender_retrain",
        run_id="r1",
        run_type="manual",
        logical_date=logical_date,
        run_after=MONDAY.replace(day=4),
        conf=params,
    )
    declared = {name: param.resolve() for name, param in retrain_params().items()}
    return {
        "dag_run": run,
        "params": {**declared, **params},
        "dag": SimpleNamespace(params=declared),
        "ti": SimpleNamespace(task_id="resolve_snapshot", try_number=1),
    }


def test_every_problem_is_reported_at_once(workspace):
    wrong = {
        "channel": "production\n",
        "force_reason": " " * 12,
        "min_users": 10**400,
        "as_of": "yesterday",
        "windows_days": [0],
        "factors": 0.5,
        "alpha": float("nan"),
        "factor": 3,
    }
    with pytest.raises(ConfigError) as caught:
        open_run(context(**wrong), workspace).check()
    assert sorted(problem.split("=")[0].split(":")[0] for problem in caught.value.problems) == sorted(wrong)


def test_the_runs_date_is_the_logical_date_else_run_after(workspace):
    assert open_run(context(), workspace).as_of == MONDAY
    run = open_run(context(logical_date=None), workspace)
    assert run.run_date == run.as_of == MONDAY.replace(day=4)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2018-05-01", datetime(2018, 5, 1, tzinfo=UTC)),
        ("2018-05-01T06:00", datetime(2018, 5, 1, 6, tzinfo=UTC)),
        ("2018-05-01T06:00:00+02:00", datetime(2018, 5, 1, 4, tzinfo=UTC)),
    ],
)
def test_as_of_is_a_date_or_an_instant(workspace, text, instant):
    run = open_run(context(as_of=text), workspace)
    assert run.as_of == instant
    assert run.run_date == MONDAY


def test_the_forms_defaults_are_the_configurations_defaults(workspace):
    assert open_run(context(), workspace).config == RetrainConfig()
    assert open_run(context(), workspace).request == RunConfig()


def test_a_parameter_reaches_the_stage_it_belongs_to(workspace):
    config = open_run(context(factors=8.0, popularity_half_life_days=5, windows_days=[7, 7, 3]), workspace).config
    assert (config.train.factors, config.popularity.half_life_days) == (8, 5.0)
    assert config.encode == RetrainConfig().encode
    assert config.popularity.windows_days == (3, 7)


def test_no_run_may_claim_to_know_the_future(workspace):
    open_run(context(as_of="2018-09-04"), workspace).check()
    with pytest.raises(ConfigError, match="as_of='2018-09-05': lies after the run's date"):
        open_run(context(as_of="2018-09-05"), workspace).check()


@pytest.mark.parametrize(
    ("kind", "user", "who"),
    [
        ("manual", "ann", "ann"),
        ("backfill", "ann", "ann"),
        ("scheduled", None, "schedule"),
        ("asset_triggered", None, "asset"),
        ("operator_triggered", None, "another DAG"),
        ("manual", "dag_test", "manual"),
        ("manual", None, "manual"),
    ],
)
def test_who_started_a_run_is_the_person_whom_airflow_knows(workspace, kind, user, who):
    about = context()
    about["dag_run"].run_type, about["dag_run"].triggering_user_name = kind, user
    assert open_run(about, workspace).facts.started_by == who


def test_a_task_whose_predecessor_handed_nothing_on_says_what_to_clear(workspace):
    about = context() | {"ti": SimpleNamespace(task_id="evaluate", try_number=1, xcom_pull=lambda **_: None)}
    with pytest.raises(DataError, match=r"The task train_als returned nothing\. Clear it"):
        open_run(about, workspace).artifact("train_als")


def test_a_verdict_ends_a_task_as_a_result_in_one_line_and_is_never_retried():
    from airflow.sdk.definitions.retry_policy import RetryAction

    ended = to_airflow(GateRejected("HOLD: nothing is published.\nthe table"))
    assert isinstance(ended, SystemExit)  # Airflow logs every other exception with its stack trace
    assert ended.code == "HOLD: nothing is published."
    assert RESULTS_ARE_FINAL.evaluate(ended, 1, 3).action == RetryAction.FAIL
    for error in (TransientError("x"), SystemExit(1), MemoryError()):
        assert RESULTS_ARE_FINAL.evaluate(error, 1, 3).action == RetryAction.DEFAULT
