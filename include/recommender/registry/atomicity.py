"""Check that a store decides conditional writes one at a time: several writers race for one key, and one may win.

A store that checks the condition and writes in two steps answers correctly to one writer at a time. With concurrent
writers two of them win. So requests in sequence prove nothing here.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError, PreconditionFailed, RecommenderError, TransientError
from ..storage.objects import ObjectStore

log = logging.getLogger(__name__)

WRITERS = 8
ROUNDS = 3
ATTEMPTS = 4  # of one race, where the store's faults left it without a winner
START_S = 2.0
NOBODYS_ETAG = '"00000000000000000000000000000000"'
FOLDER = "channels"
NAME = ".probe-"

_proven: set[tuple[str, str]] = set()


@dataclass
class Race:
    """The result of a race for one key: the ETags and contents of the winners, and transient faults."""

    won: dict[str, bytes] = field(default_factory=dict)
    faults: list[TransientError] = field(default_factory=list)


def check_conditional_writes(objects: ObjectStore) -> None:
    """Race for new keys of the store, once a process for a store that passed.

    It takes about 60 small requests, and deletes its keys if the role may delete.

    Raises
    ------
    ConfigError
        The store ignores conditions, or lets two writers win.
    TransientError
        The store failed so often that no race could be decided.
    """
    place = (str(objects.client.meta.endpoint_url), objects.bucket)
    if place in _proven:
        return
    keys = [f"{FOLDER}/{NAME}{secrets.token_hex(8)}" for _ in range(ROUNDS)]
    try:
        for key in keys:
            created = _decided(objects, key, "If-None-Match", {"create_only": True})
            _refused(objects, key, "If-Match", {"if_match": NOBODYS_ETAG})
            _decided(objects, key, "If-Match", {"if_match": created})
    finally:
        _remove(objects, keys)
    _proven.add(place)


def _decided(objects: ObjectStore, key: str, header: str, condition: Mapping[str, Any]) -> str:
    """Return the ETag of the only winner, which must be the stored object."""
    for _ in range(ATTEMPTS):
        race = _race(objects, key, condition)
        if len(race.won) > 1:
            raise _unsafe(
                objects,
                key,
                f"of {WRITERS} writers with one {header} that met, {len(race.won)} won: it does not decide "
                "conditional writes one at a time",
            )
        data, etag = _stored(objects, key)
        if race.won:
            if {etag: data} != race.won:
                raise _unsafe(objects, key, f"it refused a writer with {header} and stored what that wrote")
            return etag
        if etag and etag != condition.get("if_match"):
            return etag  # one won, and its answer was lost
        if not race.faults:
            raise _unsafe(objects, key, f"it refused every writer with an {header} that was met")
    raise race.faults[0]


def _race(objects: ObjectStore, key: str, condition: Mapping[str, Any]) -> Race:
    race, lock = Race(), threading.Lock()

    def write() -> None:
        # Different bytes, so different ETags: otherwise the ETag after a win would be the one that the others require.
        data = secrets.token_bytes(16)
        try:
            etag = objects.write(key, data, **condition)
        except PreconditionFailed:
            return
        except TransientError as error:
            with lock:
                race.faults.append(error)
            return
        with lock:
            race.won[etag] = data

    with _together(objects, key), ThreadPoolExecutor(WRITERS) as pool:
        for writer in [pool.submit(write) for _ in range(WRITERS)]:
            writer.result()
    return race


@contextmanager
def _together(objects: ObjectStore, key: str) -> Iterator[None]:
    """Delay the signed requests for a key until all writers have one, then send them at once."""
    started = threading.Event()
    gate = threading.Barrier(WRITERS, action=started.set)

    def hold(request: Any, **_: Any) -> None:
        if key in request.url and not started.is_set():
            with suppress(threading.BrokenBarrierError):
                gate.wait(START_S)

    events, event, name = objects.client.meta.events, "before-send.s3.PutObject", f"race-{key}"
    events.register(event, hold, unique_id=name)
    try:
        yield
    finally:
        events.unregister(event, unique_id=name)


def _refused(objects: ObjectStore, key: str, header: str, condition: Mapping[str, Any]) -> None:
    try:
        objects.write(key, b"stale", **condition)
    except PreconditionFailed:
        return
    raise _unsafe(objects, key, f"it ignores {header}")


def _stored(objects: ObjectStore, key: str) -> tuple[bytes, str]:
    try:
        return objects.read_tagged(key)
    except RecommenderError as error:
        log.debug("%s", error)
        return b"", ""


def _remove(objects: ObjectStore, keys: list[str]) -> None:
    """Delete the keys of the race. Without that right a few bytes stay, which a lifecycle rule may remove."""
    try:
        objects.delete(keys)
    except RecommenderError as error:
        log.debug("The probe's objects stay: %s", error)


def _unsafe(objects: ObjectStore, key: str, what: str) -> ConfigError:
    return ConfigError(
        f"{objects.uri(key)}: the store is not safe for promotions: {what}. Two promotions could overwrite each other, "
        "so nothing is promoted there. Update the store to a version with atomic conditional writes on PUT, or use "
        "another (Amazon S3 has them; versitygw since 1.8.0)."
    )
