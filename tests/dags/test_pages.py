"""The API server in this process: who may open reports, what is served, and what REST says of bad parameters."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from include.recommender.runs.journal import run_name

from .harness import keys, load_dag, report_of, run_dag, sync_dags

RETRAIN = "recommender_retrain"


@pytest.fixture(scope="module")
def app(airflow_database):
    """The API server; building it takes seconds."""
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.sdk.execution_time import task_runner
    from fastapi.testclient import TestClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "x" * 64)
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "ann:admin")
        # As `airflow api-server` sets it: connections come from the database too.
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
        # A `dag.test()` of another test leaves its channel to the API behind, as no server has.
        patch.setattr(task_runner, "SUPERVISOR_COMMS", None, raising=False)
        purge_cached_app()
        sync_dags()
        with TestClient(create_app(apps="core"), base_url="http://testserver", follow_redirects=False) as client:
            yield client


@pytest.fixture
def server(app, deployment):
    """Calls the API server as somebody of a role, or as nobody."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.configuration import conf

    # It would hide a missing guard.
    assert not conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False)

    def call(role, path, method="GET", how="bearer", body=None):
        headers = {"Content-Type": "application/json"}
        if role:
            token = SimpleAuthManager().generate_jwt(SimpleAuthManagerUser(username="ann", role=role))
            headers |= {"Authorization": f"Bearer {token}"} if how == "bearer" else {"Cookie": f"_token={token}"}
        content = None if body is None else json.dumps(body)  # with NaN, as clients send it
        return app.request(method, path, headers=headers, content=content)

    return call


REPORT = b"<!doctype html><title>r</title>"


@pytest.fixture
def stored(workspace):
    for key in ("reports/r1/report.html", "reports/trend.html", "reports/trend-staging.html", "secrets/r1/report.html"):
        workspace.root.write(key, REPORT)
    workspace.root.write("reports/r1/report.json", b"{}")
    workspace.root.write("reports/r1/run.json", b"{}")
    workspace.root.write("reports/r1/tasks/evaluate.json", b"{}")


PAGES = [
    "/recommender/reports/r1/report.html",
    "/recommender/reports/r1/report.json",
    "/recommender/reports/trend-staging.html",
    f"/recommender/runs/{RETRAIN}/r1",
    "/recommender/runs/recommender_tune/r1",
]


@pytest.mark.parametrize("page", PAGES)
def test_nobody_opens_a_report_without_a_session_that_may_read_runs(server, stored, page):
    assert server(None, page).status_code == 401
    assert server(None, page + "?dag_id=another").status_code == 401
    for how in ("bearer", "cookie"):
        assert server("viewer", page, how=how).status_code in {200, 307}
    assert server(None, "/recommender/anything").status_code in {401, 404}


def test_whoever_may_not_read_the_dags_runs_is_refused(server, stored, monkeypatch):
    from airflow.api_fastapi.app import get_auth_manager

    def authorized(*, method, user, access_entity=None, details=None):
        return details.id == "recommender_tune"

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", authorized)
    for page in PAGES[:4]:
        assert server("viewer", page).status_code == 403
        assert server("viewer", page + "?dag_id=recommender_tune").status_code == 403
    assert server("viewer", PAGES[4]).status_code == 307


def test_a_report_has_no_rights_in_the_ui(server, stored):
    answer = server("viewer", PAGES[0])
    assert answer.content == REPORT
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "script-src" not in policy


def test_the_link_of_a_run_leads_to_the_folder_of_its_report(server, stored):
    answer = server("viewer", f"/recommender/runs/{RETRAIN}/r1")
    assert (answer.status_code, answer.headers["location"]) == (307, "/recommender/reports/r1/report.html")
    odd = server("viewer", f"/recommender/runs/{RETRAIN}/manual__2018-09-01T12%3A00%3A00%2B00%3A00")
    assert "/" not in odd.headers["location"].removeprefix("/recommender/reports/").removesuffix("/report.html")
    assert server("viewer", "/recommender/runs/other_dag/r1").status_code == 404
    assert server("viewer", "/recommender/runs/other_dag/r1").headers["content-security-policy"]


@pytest.mark.parametrize("run_id", ["manual__2026-07-01T00:00:00+00:00", "scheduled__2026-07-05T00:00:00+00:00", "r1"])
def test_the_report_of_a_run_as_airflow_names_them_opens(server, workspace, run_id):
    workspace.root.write(f"reports/{run_name(run_id)}/report.html", REPORT)
    link = server("viewer", f"/recommender/runs/{RETRAIN}/{quote(run_id, safe='')}")
    assert link.status_code == 307
    page = server("viewer", link.headers["location"])
    assert (page.status_code, page.content) == (200, REPORT)


@pytest.mark.parametrize(
    "path",
    [
        "/recommender/reports/r1/run.json",
        "/recommender/reports/r1/tasks/evaluate.json",
        "/recommender/reports/r1/../../secrets/r1/report.html",
        "/recommender/reports/..%2F..%2Fsecrets%2Fr1/report.html",
        "/recommender/reports/%2e%2e/report.html",
        "/recommender/reports/.../report.html",
        "/recommender/reports/r1/report.html%0a",
        "/recommender/reports/trend-.html",
        "/recommender/reports/trend-Staging.html",
        "/recommender/reports/",
    ],
)
def test_only_reports_are_served(server, stored, path):
    answer = server("admin", path)
    assert answer.status_code in {200, 404}  # 200: Airflow's own page, where the path leaves ours
    assert REPORT not in answer.content
    assert b"{}" not in answer.content


def test_a_report_that_is_not_there_yet_and_a_wrong_setting_are_reported(server, stored, monkeypatch):
    absent = server("viewer", "/recommender/reports/r2/report.html")
    assert (absent.status_code, "no report of this run yet" in absent.text) == (404, True)
    monkeypatch.setenv("RECOMMENDER_ROOT", "")
    wrong = server("viewer", PAGES[0])
    assert (wrong.status_code, "RECOMMENDER_ROOT is not set" in wrong.text) == (500, True)


def test_the_credentials_may_be_a_connection_in_airflows_database(server, stored, s3_endpoint, monkeypatch):
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    extra = json.dumps({"endpoint_url": s3_endpoint, "region_name": "us-east-1"})
    connection = Connection(conn_id="stored_aws", conn_type="aws", login="test", password="test", extra=extra)
    with create_session() as session:
        session.add(connection)
    monkeypatch.setenv("RECOMMENDER_AWS_CONN_ID", "stored_aws")
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    assert server("viewer", PAGES[0]).content == REPORT


def trigger(server, **body):
    return server("admin", f"/api/v2/dags/{RETRAIN}/dagRuns", "POST", body={"logical_date": None, **body})


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"factors": 0}, "0 is less than the minimum of 1"),
        ({"factors": "many"}, "'many' is not of type 'integer'"),
        ({"alpha": float("nan")}, "Invalid input for param alpha"),
        ({"alpha": float("inf")}, "Invalid input for param alpha"),
        ({"half_life_days": float("-inf")}, "Invalid input for param half_life_days"),
        ({"as_of": "2018-13-01"}, "Invalid input for param as_of"),
        ({"snapshot": "2018-02-30"}, "'2018-02-30' is not a 'date'"),
        ({"channel": "Production!"}, "Invalid input for param channel"),
    ],
)
def test_rest_refuses_a_bad_value_as_the_callers_mistake_and_names_it(server, conf, expected):
    answer = trigger(server, conf=conf)
    assert answer.status_code == 400
    assert expected in answer.json()["detail"]
    (name,) = conf
    assert name in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [{"logical_date": "2018-13-01T00:00:00Z"}, {"conf": [1]}, {"conf": {}, "factors": 8}, {"logical_date": "now"}],
)
def test_rest_refuses_a_body_that_is_none(server, body):
    assert 400 <= trigger(server, **body).status_code < 500


def test_the_graph_has_one_edge_a_step_and_groups(server):
    for dag_id, groups in ((RETRAIN, ["prepare", "train", "judge", "publish"]), ("recommender_tune", ["prepare"])):
        answer = server("viewer", f"/ui/structure/structure_data?dag_id={dag_id}").json()
        nodes = {node["id"]: [child["id"] for child in node.get("children") or []] for node in answer["nodes"]}
        assert set(groups) <= {name for name, children in nodes.items() if children}
        dag = load_dag(dag_id)
        assert all("." not in task_id for task_id in dag.task_dict)
        edges = [(task.task_id, after) for task in dag.tasks for after in task.downstream_task_ids]
        for begin, end in edges:
            # No edge beside a longer way from and to the same tasks.
            between = [task for task in dag.get_task(begin).downstream_list if task.task_id != end]
            assert not any(end in after.get_flat_relative_ids(upstream=False) for after in between), (begin, end)


@pytest.mark.slow
def test_a_run_links_to_its_report_and_only_a_move_makes_an_event(server, s3):
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from .. import worlds
    from .harness import put_snapshot, read_json

    def events():
        with create_session() as session:
            both = select(AssetModel.name, AssetEvent.extra).where(AssetEvent.asset_id == AssetModel.id)
            rows = session.execute(both.order_by(AssetEvent.id))
            return [(name, extra) for name, extra in rows if name.startswith("recommender_")]

    put_snapshot(s3, "2018-08-27", worlds.packed(worlds.reviews()))
    before = events()
    run, _ = run_dag(datetime(2018, 9, 2, tzinfo=UTC), channel="staging")
    ((name, extra),) = [event for event in events() if event not in before]
    model = report_of(s3, run)["model"]["model_id"]
    assert name == "recommender_staging"
    assert (extra["model_id"], extra["channel"]) == (model, "staging")
    assert extra["uri"].rstrip("/").endswith(f"/models/{model}")
    assert f"models/{model}/manifest.json" in keys(s3, "models/")
    assert read_json(s3, "channels/staging.json")["who"] == "manual"  # `dag.test` knows of no person
    again, states = run_dag(datetime(2018, 9, 3, tzinfo=UTC), channel="staging", force=True)
    assert states["promote_model"] == "skipped"
    assert len(events()) == len(before) + 1
    for task in ("recall_gate", "promote_model", "write_report"):
        path = f"/api/v2/dags/{RETRAIN}/dagRuns/{again.run_id}/taskInstances/{task}/links"
        link = server("viewer", path).json()["extra_links"]["Report"]
        page = server("viewer", server("viewer", link).headers["location"])
        assert (page.status_code, b"Recall" in page.content) == (200, True)
