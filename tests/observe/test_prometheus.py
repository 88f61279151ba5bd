"""Prometheus itself: its tool accepts the rules and raises each alert, and its server answers every query."""

import json
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from include.recommender.api.metrics import Metrics

from ..ports import free_port
from .files import ALERTS, FOLDER, MAPPINGS, QUERIES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("promtool") and shutil.which("prometheus")),
        reason="NOT TESTED: neither promtool nor prometheus here; Debian's package prometheus has both",
    ),
]
KEY = "0123456789abcdef" * 4


def tool(*arguments):
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_rules_are_valid_and_every_alert_is_raised_by_its_test():
    status, out = tool("check", "rules", "alerts.yml")
    assert (status, f"{len(ALERTS)} rules found" in out) == (0, True), out
    status, out = tool("test", "rules", "alerts_test.yml")
    assert status == 0, out


@pytest.fixture
def scraped():
    """A server with the API's metrics, for its key alone, and with Airflow's as statsd-exporter names them."""
    metrics = Metrics()
    metrics.seconds.labels("/v1/trending", "200").observe(0.01)
    metrics.model.labels("production", "20180930-f247e04aaf20").set(1)
    airflow = "".join(f'{name}{{dag_id="recommender_retrain"}} 1\n' for name in MAPPINGS.values())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers.get("Authorization") in {None, f"Bearer {KEY}"}
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(airflow.encode() if "Authorization" not in self.headers else metrics.page())

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def prometheus(scraped, tmp_path):
    """The address of a server with the project's configuration, but for addresses, the key's file and the interval."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job["static_configs"][0]["targets"] = [scraped]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(tmp_path / "key")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copyfile(FOLDER / "alerts.yml", tmp_path / "alerts.yml")
    assert tool("check", "config", str(tmp_path / "prometheus.yml"))[0] == 0
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--web.listen-address={address}"]
    with subprocess.Popen([*command, f"--storage.tsdb.path={tmp_path / 'data'}"], stderr=subprocess.DEVNULL) as server:
        yield f"http://{address}/api/v1"
        server.terminate()


def ask(url, **parameters):
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
        return json.load(answer)["data"]


def wait(done, most_s=300):
    end = time.monotonic() + most_s
    while time.monotonic() < end:
        try:
            if done():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError


def test_a_server_scrapes_both_jobs_loads_the_alerts_and_answers_every_query(prometheus):
    def healthy():
        return {each["health"] for each in ask(f"{prometheus}/targets")["activeTargets"]} == {"up"}

    wait(healthy)
    rules = [rule for group in ask(f"{prometheus}/rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {alert["alert"] for alert in ALERTS}
    assert all(ask(f"{prometheus}/query", query=query)["resultType"] == "vector" for query in QUERIES)
    (version,) = ask(f"{prometheus}/query", query="recommender_model_info == 1")["result"]
    assert version["metric"]["model_id"] == "20180930-f247e04aaf20"
