"""Micro-batching: one thread computes, and takes all requests that wait into one matrix product.

There is no timer. While a batch is computed, the next requests gather; an idle thread takes the first at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Thread
from typing import Any, TypeVar

from ..serving import List, Recommender, Request

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[], Any]

MOST_TOGETHER = 64  # requests of one batch: more make each of them wait longer than they save
WIDE = 100  # a list of more items makes the lists beside it as expensive


class Busy(Exception):
    """The queue is full."""


@dataclass(frozen=True, eq=False)
class _Job:
    """Work of one caller: requests of a recommender, which may share a product with others, or anything else."""

    future: asyncio.Future[Any]
    requests: tuple[Request, ...] = ()
    recommender: Recommender | None = None
    work: Work | None = None

    @property
    def wide(self) -> bool:
        return any(request.needed > WIDE for request in self.requests)

    def joins(self, other: _Job) -> bool:
        """Whether both can be one batch."""
        return self.work is None and self.recommender is other.recommender and self.wide == other.wide

    def run(self) -> Any:
        if self.work is not None:
            return self.work()
        assert self.recommender is not None
        return self.recommender.recommend(self.requests)


@dataclass
class Compute:
    """The thread, and the jobs that wait for it.

    limit : jobs that may wait
    observe : is told how many requests each batch has
    """

    limit: int
    observe: Callable[[int], None] = lambda size: None
    _jobs: deque[_Job] = field(default_factory=deque, init=False)
    _changed: Condition = field(default_factory=Condition, init=False)
    _ending: bool = field(default=False, init=False)
    _thread: Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name="compute", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def __len__(self) -> int:
        return len(self._jobs)

    async def lists(self, recommender: Recommender, requests: Sequence[Request]) -> list[List]:
        """The lists of some requests. Raises Busy at once if the queue is full."""
        found: list[List] = await self._ask(partial(_Job, requests=tuple(requests), recommender=recommender))
        return found

    async def call(self, work: Callable[[], T]) -> T:
        """The result of any other work on a model; raises what it raises, and Busy."""
        found: T = await self._ask(partial(_Job, work=work))
        return found

    async def _ask(self, make: Callable[[asyncio.Future[Any]], _Job]) -> Any:
        if len(self._jobs) >= self.limit:
            raise Busy
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            self._jobs.append(make(future))
            self._changed.notify()
        return await future

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._ending)
                if not self._jobs:
                    return
                jobs = self._take()
            if jobs:
                _answer(jobs, self.observe)

    def _take(self) -> list[_Job]:
        """The first job and those that can join it; who gave up waiting is left out."""
        first = self._jobs.popleft()
        taken, left, n = [first], deque[_Job](), len(first.requests)
        most = 1 if first.recommender is None else min(MOST_TOGETHER, first.recommender.block)
        while self._jobs and n < most:
            job = self._jobs.popleft()
            if job.joins(first):
                taken.append(job)
                n += len(job.requests)
            else:
                left.append(job)
        self._jobs.extendleft(reversed(left))
        return [job for job in taken if not job.future.cancelled()]


def _answer(jobs: Sequence[_Job], observe: Callable[[int], None]) -> None:
    """Compute some jobs together; where that fails, each alone, so that no job fails with its neighbour."""
    observe(max(1, sum(len(job.requests) for job in jobs)))
    try:
        outcomes = _together(jobs)
    except Exception:  # noqa: BLE001  # whatever it is, it may be the fault of one job alone
        outcomes = [_alone(job) for job in jobs]
    loop = jobs[0].future.get_loop()
    try:
        loop.call_soon_threadsafe(_deliver, list(zip(jobs, outcomes, strict=True)))
    except RuntimeError:  # the loop has ended, so nobody waits
        log.debug("%d answers came after the server's end", len(jobs))


def _together(jobs: Sequence[_Job]) -> list[Any]:
    if len(jobs) == 1:
        return [jobs[0].run()]
    recommender = jobs[0].recommender
    assert recommender is not None
    lists = iter(recommender.recommend([request for job in jobs for request in job.requests]))
    return [[next(lists) for _ in job.requests] for job in jobs]


def _alone(job: _Job) -> Any:
    try:
        return job.run()
    except Exception as error:  # noqa: BLE001  # raised again where the job is awaited
        return error


def _deliver(outcomes: Sequence[tuple[_Job, Any]]) -> None:
    for job, outcome in outcomes:
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)
