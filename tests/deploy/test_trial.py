"""The trial of a started stack: what it says of a stack that does not do what it should.

The whole trial needs Docker and a started stack: `make compose-try`.
"""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.compose import inside, trial
from deploy.compose.calls import Address, Answer

HEALTHY = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")}


@pytest.fixture
def serve():
    """Starts a server with the given answers: path -> status and JSON; any other path is 403."""
    servers = []

    def start(answers):
        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = answers.get(self.path, (403, {"detail": "Forbidden"}))
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_call_answers_with_status_and_json_also_where_it_is_refused(serve):
    address = Address(f"http://127.0.0.1:{serve({'/a': (200, [1])})}", "token")
    assert address.ask("GET", "/a") == Answer(200, [1])
    assert address.ask("PATCH", "/b", {"x": 1}) == Answer(403, {"detail": "Forbidden"})
    with pytest.raises(RuntimeError, match=r"/b: 403 .*Forbidden"):
        address.get("/b")


def test_nobody_answers():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        assert Address(f"http://127.0.0.1:{found.getsockname()[1]}").ask("GET", "/").status == 0


def test_a_stack_that_takes_any_password_fails(serve):
    port = serve({trial.HEALTH: (200, HEALTHY), "/auth/token": (201, {"access_token": "t"})})
    with pytest.raises(trial.Failed, match="a wrong password: 201"):
        trial.log_in({"AIRFLOW_PORT": str(port)})


def test_a_viewer_who_may_trigger_fails(serve):
    dag = f"/api/v2/dags/{trial.RETRAIN}"
    port = serve({dag: (200, {}), f"{dag}/dagRuns": (200, {})})
    with pytest.raises(trial.Failed, match="a viewer triggers the DAG: 200"):
        trial.check_viewer(Address(f"http://127.0.0.1:{port}"))


def test_an_unhealthy_part_is_waited_for_and_named(serve, monkeypatch):
    monkeypatch.setattr(trial, "STEP_S", 0.01)
    sick = HEALTHY | {"scheduler": {"status": "unhealthy"}}
    monkeypatch.setattr(trial, "START_S", 0.05)
    with pytest.raises(trial.Failed, match="every part of Airflow is healthy: not within"):
        trial.log_in({"AIRFLOW_PORT": str(serve({trial.HEALTH: (200, sick)}))})


@pytest.mark.parametrize("found", [[["a", 0.5]], [["b", 0.25]], []])
def test_lists_that_differ_from_the_batch_fail(found, serve, monkeypatch):
    wanted = {"ann": [["a", 0.25]]}
    monkeypatch.setattr(trial, "in_container", lambda *_: json.dumps(wanted))
    rows = [{"item": item, "score": score} for item, score in found]
    answer = {"model_id": "m", "items": rows}
    variables = {
        "API_PORT": str(serve({"/v1/users/ann/recommendations?k=1": (200, answer)})),
        "API_KEY": "k",
    }
    with pytest.raises(trial.Failed, match="ann: the API answers"):
        trial.compare(variables, "m")
    rows[:] = [{"item": "a", "score": 0.25}]
    trial.compare(variables, "m")


def test_what_runs_inside_is_python():
    for script in (inside.FIRST_LISTS, inside.KILL_SCHEDULER):
        compile(script, "inside", "exec")
