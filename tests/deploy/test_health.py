"""The probe of the containers, against a real HTTP server that answers as Airflow does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy import health

ANSWER = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": None},
    "triggerer": {"status": None},
}


@pytest.fixture
def api_server(monkeypatch):
    """A server whose health answer a test may change; the environment points to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = server.body if self.path == "/api/v2/monitor/health" else b"not found"
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.body = 200, json.dumps(ANSWER).encode()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/execution/"
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", url)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("component", "status", "expected"),
    [
        ("metadatabase", 0, "healthy"),
        ("scheduler", 1, "unhealthy"),
        ("triggerer", 1, "never seen"),
        ("dag_processor", 1, "never seen"),
    ],
)
def test_reports_the_verdict_of_the_api_server(api_server, capsys, component, status, expected):
    assert health.main([component]) == status
    assert capsys.readouterr().out == f"{component}: {expected}\n"


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"<html>")])
def test_a_wrong_answer_is_unhealthy(api_server, capsys, status, body):
    api_server.status, api_server.body = status, body
    assert health.main(["scheduler"]) == 1
    assert "no answer from http://127.0.0.1" in capsys.readouterr().out


def test_no_server_is_unhealthy(monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://127.0.0.1:1/execution/")
    assert health.main(["scheduler"]) == 1
    assert "no answer" in capsys.readouterr().out
