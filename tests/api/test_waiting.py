"""A full queue and a late answer are refused while the thread still computes."""

import threading

import pytest

from .test_compute import Gate


@pytest.fixture
def held(api):
    """An API whose thread computes until the gate is opened."""
    started, gate = None, Gate()

    def start(**settings):
        nonlocal started
        started = api(cache=0, **settings)
        loop = threading.Thread(target=lambda: ask_gate(started, gate), daemon=True)
        loop.start()
        assert gate.entered.wait(30)
        return started, gate

    yield start
    gate.open.set()


def ask_gate(started, gate):
    """A request whose work is the gate."""
    recommender = started.service.audience.main.current.recommender
    original = type(recommender).rank
    type(recommender).rank = lambda self, request, items: gate() or original(self, request, items)
    try:
        started.client.post("/v1/rank", json={"items": ["I00001"]})
    finally:
        type(recommender).rank = original


def test_a_full_queue_is_a_503_with_retry_after_at_once(held):
    started, gate = held(queue=2, timeout_s=60)
    waiting = [threading.Thread(target=lambda: started.client.get("/v1/trending"), daemon=True) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while len(started.service.compute) < 2:
        pass
    for _ in range(3):
        refused = started.client.get("/v1/trending")  # answered although nothing is computed
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["content-type"] == "application/problem+json"
    assert started.client.get("/healthz").status_code == 200
    assert 'recommender_refused_total{reason="busy"} 3.0' in started.client.get("/metrics").text
    gate.open.set()
    for thread in waiting:
        thread.join()
    assert started.client.get("/v1/trending").status_code == 200


def test_an_answer_that_does_not_come_in_time_is_given_up(held):
    started, gate = held(timeout_s=0.1)
    refused = started.client.get("/v1/trending")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "in time" in refused.json()["detail"]
    gate.open.set()
