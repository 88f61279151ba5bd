"""Work ahead in a thread: order, errors where they belong, and no thread that is left behind."""

import threading

import pytest

from include.recommender.data.ahead import ahead


def threads():
    return [each for each in threading.enumerate() if each.name == "ahead"]


def failing(n):
    yield from range(n)
    raise ValueError("after", n)


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_the_same_items_in_the_same_order(depth):
    assert list(ahead(iter(range(50)), depth)) == list(range(50))
    assert threads() == []


def test_an_error_comes_after_the_items_before_it():
    items = ahead(failing(5), 2)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="after"):
        next(items)
    assert threads() == []


@pytest.mark.parametrize("taken", [1, 7])
def test_the_thread_ends_and_its_items_are_closed_when_the_consumer_stops(taken):
    closed = threading.Event()

    def endless():
        try:
            n = 0
            while True:
                yield (n := n + 1)
        finally:
            closed.set()

    items = ahead(ahead(endless(), 2), 3)
    assert [next(items) for _ in range(taken)] == list(range(1, taken + 1))
    items.close()
    assert closed.is_set()
    assert threads() == []


def test_no_more_than_asked_for_is_made_early():
    made, asked = [], threading.Semaphore(0)

    def counted():
        for n in range(100):
            made.append(n)
            asked.release()
            yield n

    items = ahead(counted(), 4)
    next(items)
    for _ in range(5):
        assert asked.acquire(timeout=20)
    # One is taken and four are ready; a sixth would need room that is not there.
    assert not asked.acquire(timeout=0.2)
    assert made == [0, 1, 2, 3, 4]
    items.close()


class Unclosable:
    """Items that end, fail or go on, and cannot be closed."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        raise OSError("cannot be closed")


@pytest.mark.parametrize("items", [iter([0, 1, 2]), failing(3)])
def test_an_error_in_closing_the_items_ends_them_too_and_hides_none(items):
    made, found = ahead(Unclosable(items), 2), []
    with pytest.raises(OSError, match="cannot be closed") as caught:
        found.extend(made)
    assert found == [0, 1, 2]
    before = caught.value.__context__
    assert before is None or before.args == ("after", 3)
    assert (before is None) == (items.__class__ is type(iter([])))
    assert threads() == []


def test_an_error_in_closing_the_items_is_raised_where_the_consumer_stops_early():
    items = ahead(Unclosable(iter(range(100))), 2)
    assert next(items) == 0
    with pytest.raises(OSError, match="cannot be closed"):
        items.close()
    assert threads() == []
