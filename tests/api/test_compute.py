"""Micro-batches: who waits is computed together, a full queue refuses at once, a failure stays with its job."""

import asyncio
import threading

import pytest

from include.recommender.api.compute import MOST_TOGETHER, Busy, Compute
from include.recommender.serving import Recommender, Request

from ..serving.versions import version

RECOMMENDER = Recommender(version())


class Gate:
    """Work that waits until it is opened, so that a test decides what else waits meanwhile."""

    def __init__(self):
        self.open, self.entered = threading.Event(), threading.Event()

    def __call__(self):
        self.entered.set()
        assert self.open.wait(30)


@pytest.fixture
def sizes():
    return []


@pytest.fixture
def compute(sizes):
    made = Compute(200, sizes.append)
    made.start()
    yield made
    made.stop()


def run(compute, ask):
    """Run `ask(gate)`, which begins while the thread is held, and opens the gate itself."""

    async def whole():
        gate = Gate()
        held = asyncio.create_task(compute.call(gate))
        await asyncio.to_thread(gate.entered.wait)
        found = await ask(gate)
        await held
        return found

    return asyncio.run(whole())


def answers(compute, requests):
    """The lists of requests that all wait before the first is computed."""

    async def ask(gate):
        waiting = [asyncio.create_task(compute.lists(RECOMMENDER, [request])) for request in requests]
        while len(compute) < len(requests):
            await asyncio.sleep(0)
        gate.open.set()
        return [found for (found,) in await asyncio.gather(*waiting)]

    return run(compute, ask)


def test_all_that_wait_are_one_batch_with_the_lists_of_each(compute, sizes):
    requests = [Request(user=f"U0000{number % 8}", k=1 + number) for number in range(MOST_TOGETHER + 6)]

    assert answers(compute, requests) == RECOMMENDER.recommend(requests)
    assert sizes == [1, MOST_TOGETHER, 6]


def test_a_wide_list_does_not_widen_the_others(compute, sizes):
    requests = [Request(k=k) for k in (5, 1_000, 5, 1_000, 5)]

    assert answers(compute, requests) == RECOMMENDER.recommend(requests)
    assert sizes == [1, 3, 2]


def test_a_full_queue_refuses_without_waiting(compute):
    async def ask(gate):
        waiting = [asyncio.create_task(compute.lists(RECOMMENDER, [Request()])) for _ in range(compute.limit)]
        while len(compute) < compute.limit:
            await asyncio.sleep(0)
        with pytest.raises(Busy):
            await compute.lists(RECOMMENDER, [Request()])
        gate.open.set()
        return len(await asyncio.gather(*waiting))

    assert run(compute, ask) == compute.limit


def test_a_job_that_fails_does_not_fail_its_neighbours(compute):
    async def ask(gate):
        asked = [Request(), Request(user=5), Request(user="U00002")]
        waiting = [asyncio.create_task(compute.lists(RECOMMENDER, [request])) for request in asked]
        while len(compute) < len(asked):
            await asyncio.sleep(0)
        gate.open.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    first, poisoned, last = run(compute, ask)
    assert isinstance(poisoned, Exception)
    assert [first, last] == [[found] for found in RECOMMENDER.recommend([Request(), Request(user="U00002")])]


def test_who_gave_up_is_not_computed(compute, sizes):
    async def ask(gate):
        left = asyncio.create_task(compute.lists(RECOMMENDER, [Request()]))
        while not len(compute):
            await asyncio.sleep(0)
        left.cancel()
        stays = asyncio.create_task(compute.call(lambda: "done"))
        await asyncio.sleep(0)
        gate.open.set()
        return await stays

    assert run(compute, ask) == "done"
    assert sizes == [1, 1]
