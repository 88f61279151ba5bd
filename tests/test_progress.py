"""Progress lines: how often, what they say, and from many threads."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.recommender.progress import Progress, span

log = logging.getLogger(__name__)


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO, __name__)
    return Clock()


def test_work_under_ten_seconds_logs_nothing(clock, caplog):
    progress = Progress(log, "ranking", 50, "users", clock=clock)
    for _ in range(50):
        clock.now += 0.19
        progress.add(1)
    assert caplog.messages == []


def test_a_line_every_ten_seconds_with_rate_and_remaining_time(clock, caplog):
    progress = Progress(log, "ranking", 100_000, "users", clock=clock)
    for _ in range(25):
        clock.now += 1
        progress.add(1_000)
    assert caplog.messages == [
        "ranking: 10,000 of 100,000 users (10%), 1,000 users/s, about 1 min 30 s left",
        "ranking: 20,000 of 100,000 users (20%), 1,000 users/s, about 1 min 20 s left",
    ]


def test_bytes_are_shown_as_megabytes_and_a_resumed_part_is_not_rate(clock, caplog):
    progress = Progress(log, "a.json.gz", 3e9, "bytes", done=1e9, clock=clock)
    clock.now += 20
    progress.at(2e9)
    assert caplog.messages == ["a.json.gz: 2,000 of 3,000 MB (67%), 50 MB/s, about 20 s left"]


def test_slow_work_has_fractions(clock, caplog):
    progress = Progress(log, "ALS", 15, "iterations", clock=clock)
    clock.now += 18
    progress.add(1)
    assert caplog.messages == ["ALS: 1 of 15 iterations (7%), 0.0556 iterations/s, about 4 min 12 s left"]


def test_nothing_done_or_more_than_the_total_gives_no_nonsense(clock, caplog):
    progress = Progress(log, "copy", 10, "files", clock=clock)
    clock.now += 10
    progress.at(0)
    clock.now += 10
    progress.at(12)
    assert caplog.messages == [
        "copy: 0 of 10 files (0%), 0 files/s",
        "copy: 12 of 10 files (100%), 0.6 files/s, about 0 s left",
    ]


def test_threads_lose_no_count(clock, caplog):
    progress = Progress(log, "parts", 40_000, "parts", clock=clock)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [progress.add(1) for _ in range(5_000)], range(8)))
    clock.now += 10
    progress.add(0)
    assert caplog.messages == ["parts: 40,000 of 40,000 parts (100%), 4,000 parts/s, about 0 s left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.4, "59 min 59 s"), (7500, "2 h 05 min")],
)
def test_spans_of_time(seconds, text):
    assert span(seconds) == text
