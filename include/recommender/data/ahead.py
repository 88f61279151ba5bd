"""Work ahead of its consumer in a thread: bounded, in order, and with errors where they would come without it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the items, or the error that ended them."""

    error: BaseException | None


def ahead(items: Iterator[T], depth: int) -> Generator[T]:
    """Yield the same items, made in a thread of their own up to `depth` of them early.

    An error of `items` is raised after the items before it. The thread has ended, and `items` are closed, when this
    generator ends or is closed. An error in closing them is raised then, with the error before it as its context.
    """
    made: SimpleQueue[T | _End] = SimpleQueue()
    room, stop = threading.Semaphore(depth), threading.Event()
    unclosed: list[BaseException] = []
    worker = threading.Thread(target=_fill, args=(items, made, room, stop, unclosed), name="ahead", daemon=True)
    worker.start()
    try:
        while not isinstance(item := made.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        room.release()
        worker.join()
        if unclosed:
            raise unclosed[0]


def _fill(
    items: Iterator[T],
    made: SimpleQueue[T | _End],
    room: threading.Semaphore,
    stop: threading.Event,
    unclosed: list[BaseException],
) -> None:
    error: BaseException | None = None
    try:
        while room.acquire() and not stop.is_set():
            made.put(next(items))
    except StopIteration:
        pass
    except BaseException as raised:  # noqa: BLE001 (it is raised where the items are used)
        error = raised
    try:
        if hasattr(items, "close"):
            items.close()
    except BaseException as raised:  # noqa: BLE001 (it is raised where the items are closed)
        unclosed.append(raised)
    finally:
        made.put(_End(error))
