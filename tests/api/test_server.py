"""The server as people start it: a process of its own, under load, killed, without its store, with idle clients."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from include.recommender.serving import Recommender, Request

from ..conftest import BUCKET, ROOT
from ..ports import free_port
from ..registry import makers
from .conftest import until
from .published import publish

pytestmark = pytest.mark.slow
USERS = [f"U0000{number}" for number in range(8)]
IDLE = 10_000


class Server:
    """A server process."""

    def __init__(self, endpoint, cache, log, **settings):
        self.port, self.log = free_port(), log
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
            "RECOMMENDER_CACHE": str(cache),
            "RECOMMENDER_API_OPEN": "1",
            "RECOMMENDER_API_POLL_S": "0.1",
            "RECOMMENDER_API_CACHE": "0",
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            **{f"RECOMMENDER_API_{name.upper()}": str(value) for name, value in settings.items()},
        }
        command = [sys.executable, "-m", "include.recommender.api", "--port", str(self.port)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def get(self, path):
        """Status and body; status 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if "json" in answer.headers["content-type"] else body.decode()
        except ConnectionError:
            return 0, None
        finally:
            connection.close()

    def wait(self):
        """Until it is ready."""
        until(lambda: self.get("/readyz")[0] == 200 or self.process.poll() is not None, 90)
        assert self.process.poll() is None, self.log.read_text()[-2_000:]
        return self


@pytest.fixture
def server(served, s3_endpoint, tmp_path):
    running = []

    def start(endpoint=s3_endpoint, **settings):
        found = Server(endpoint, tmp_path / "server", tmp_path / "server.log", **settings)
        running.append(found)
        return found.wait()

    yield start
    for each in running:
        each.process.kill()
        each.process.wait()


class Load:
    """Threads that ask without a pause, and keep what was wrong."""

    def __init__(self, server, expected, n_threads=8):
        self.server, self.expected = server, expected
        self.ending, self.wrong, self.n_answers = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self._ask, args=(user,)) for user in USERS[:n_threads]]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, user):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        while not self.ending.is_set():
            try:
                connection.request("GET", f"/v1/users/{user}/recommendations")
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status != 200 or body["items"] != self.expected[body["model_id"]][user]:
                    self.wrong.append((answer.status, body))
                self.n_answers += 1
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.wrong.append(error)
                connection.close()


def lists(served):
    found = Recommender(served).recommend([Request(user=user) for user in USERS])
    return {
        user: [{"item": row.item, "score": row.score} for row in each.items]
        for user, each in zip(USERS, found, strict=True)
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_a_swap_under_load_loses_no_request(server, registry, served, workers):
    second = publish(registry, makers.M2, seed=1)
    started = server(workers=workers)
    expected = {makers.M1: lists(served), makers.M2: lists(second)}
    with Load(started, expected) as load:
        for name, kind in [(makers.M2, "promote"), (makers.M1, "rollback")] * 5:
            makers.move(registry, name, kind=kind)
            since = load.n_answers
            until(lambda name=name: started.get("/v1/model")[1]["channels"][0]["model_id"] == name)
            until(lambda since=since: load.n_answers > since + 20)
    assert not load.wrong, load.wrong[:3]
    assert load.n_answers > 200


def test_after_a_kill_it_starts_without_its_store(server, served):
    first = server()
    before = {user: first.get(f"/v1/users/{user}/recommendations")[1]["items"] for user in USERS}
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    again = server(endpoint=f"http://127.0.0.1:{free_port()}")
    assert {user: again.get(f"/v1/users/{user}/recommendations")[1]["items"] for user in USERS} == before
    until(lambda: again.get("/v1/model")[1]["channels"][0]["problem"])
    assert again.get("/readyz")[0] == 200


def test_a_store_that_comes_and_goes_is_followed_again(server, registry, served, s3):
    started = server()
    publish(registry, makers.M2, seed=1)
    key = "shop/channels/production.json"
    pointer = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"{half")
    until(lambda: started.get("/v1/model")[1]["channels"][0]["problem"])
    assert started.get("/v1/trending")[0] == 200
    s3.put_object(Bucket=BUCKET, Key=key, Body=pointer)
    until(lambda: started.get("/v1/model")[1]["channels"][0]["problem"] is None)
    makers.move(registry, makers.M2)
    until(lambda: started.get("/v1/trending")[1]["model_id"] == makers.M2)


def test_a_request_to_end_lets_requests_finish(server, served):
    started = server()
    expected = {makers.M1: lists(served)}
    with Load(started, expected) as load:
        until(lambda: load.n_answers > 50)
        started.process.send_signal(signal.SIGTERM)
        started.process.wait(30)
        load.ending.set()
    assert not [wrong for wrong in load.wrong if isinstance(wrong, tuple)]
    cut_short = (http.client.IncompleteRead, ValueError)
    assert not [wrong for wrong in load.wrong if isinstance(wrong, cut_short)]


def test_ten_thousand_idle_connections_leave_room_for_a_request(server):
    needed, (soft, hard) = IDLE + 200, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        pytest.skip(f"this system allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    started, idle = server(), []
    try:
        for _ in range(IDLE):
            idle.append(socket.create_connection(("127.0.0.1", started.port), timeout=30))
        assert started.get("/v1/users/U00005/recommendations")[0] == 200
    finally:
        for each in idle:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert started.get("/healthz")[0] == 200


def test_several_workers_answer_alike_and_add_up_their_metrics(server, served):
    started, expected = server(workers=2), lists(served)
    for _ in range(30):
        for user in USERS[:2]:
            assert started.get(f"/v1/users/{user}/recommendations")[1]["items"] == expected[user]
    page = started.get("/metrics")[1]
    assert 'recommender_lists_total{channel="production",source="known_user"} 60.0' in page


def test_workers_end_with_a_parent_that_is_killed(server):
    started = server(workers=2)
    workers = psutil.Process(started.process.pid).children(recursive=True)
    assert len(workers) >= 2
    started.process.kill()
    started.process.wait()
    psutil.wait_procs(workers, timeout=30)
    assert not [worker for worker in workers if worker.is_running()]
    assert started.get("/healthz")[0] == 0


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"queue": 0}, "RECOMMENDER_API_QUEUE=0"),
        ({"keys_file": "/nowhere", "open": ""}, "/nowhere"),
        ({"open": ""}, "RECOMMENDER_API_KEYS_FILE"),
    ],
)
def test_it_does_not_start_with_wrong_settings(served, s3_endpoint, tmp_path, settings, names):
    started = Server(s3_endpoint, tmp_path / "server", tmp_path / "server.log", **settings)
    assert started.process.wait(60) == 1
    assert names in started.log.read_text()
