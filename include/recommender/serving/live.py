"""A recommender that follows its channel: a promotion or rollback is loaded beside the old version, then swapped in.

What is broken is refused, and the old version stays. The last good version is kept on disk, so that a server starts
without its store.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import Literal

import msgspec
import numpy as np

from ..errors import DataError, NotFound, RecommenderError
from ..registry.bundle import MANIFEST, Manifest, read_manifest
from ..registry.copies import check_copy, entry_of, local_copy
from ..registry.registry import Registry
from ..registry.sealed import Plain, write_document
from ..storage.cache import claim, entry_path, make_entry, prune, release, used
from ..storage.disk import guarded
from ..storage.scratch import scratch_file
from .mapped import mapped
from .recommender import Recommender
from .request import Filters, Request

log = logging.getLogger(__name__)

# What a server needs of a version: not its judged part.
SERVED = ("published_", "seen_")
LAST = "last.json"
FIRST_WAIT_S, MOST_WAIT_S = 2.0, 600.0
# How many channels of this process use an entry of a cache.
_used: Counter[Path] = Counter()


class Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last good version of a channel, kept on disk."""

    model_id: Plain
    format: Literal[1] = 1


@dataclass(frozen=True, eq=False)
class Loaded:
    """A version that answers; since : seconds since 1970."""

    recommender: Recommender
    channel: str
    since: float

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        return self.recommender.version.manifest


@dataclass(frozen=True)
class Refused:
    """A state of the channel whose version could not be loaded, and when to try again, by the monotonic clock."""

    etag: str | None = None
    wait_s: float = 0.0
    again_at: float = 0.0

    def holds(self, etag: str) -> bool:
        """Whether that state is not to be tried yet."""
        return self.etag == etag and monotonic() < self.again_at

    def again(self, etag: str) -> Refused:
        """After one more failure with a state."""
        wait_s = min(2 * self.wait_s or FIRST_WAIT_S, MOST_WAIT_S) if self.etag == etag else FIRST_WAIT_S
        return Refused(etag, wait_s, monotonic() + wait_s)


@dataclass
class Live:
    """The version that a channel points to, kept up to date by `look`, again and again.

    current : what answers now, None before the first load; whoever took it may finish with it after a swap
    problem : why the channel's version does not answer, or why the channel cannot be read; None is healthy
    looked_at : seconds since 1970 of the last look that reached the store; 0 is never
    n_swaps, n_failures : since the start
    """

    registry: Registry
    channel: str
    cache: Path
    current: Loaded | None = field(default=None, init=False)
    problem: str | None = field(default=None, init=False)
    looked_at: float = field(default=0.0, init=False)
    n_swaps: int = field(default=0, init=False)
    n_failures: int = field(default=0, init=False)
    _refused: Refused = field(default_factory=lambda: Refused(), init=False)
    _remembered: str | None = field(default=None, init=False)

    def start(self) -> None:
        """Load the last good version from disk, if there is one, then what the channel points to."""
        self.resume()
        self.look()

    def resume(self) -> None:
        """Load the last good version from disk, if there is one. Never raises."""
        model_id = None
        try:
            claim(self.cache)
            model_id = self._last()
            if model_id is not None:
                self._swap(self._from_disk(model_id))
                self._remembered = model_id
        except Exception as error:  # noqa: BLE001  # whatever it is, the store may have a good version
            log.warning("%s: the version on disk, %s, is not usable: %s", self.channel, model_id, error)

    def look(self) -> None:
        """Look once where the channel points, and load that version if it is another one. Never raises.

        A version that could not be loaded is tried again ever more rarely: each time all of its files are read.
        """
        try:
            state = self.registry.channels.read(self.channel)
            if state is None:
                raise NotFound(self.registry.channels.unknown(self.channel))
            self.looked_at = time()
            if self._refused.holds(state.etag):
                return
            if self.current is None or self.current.manifest.model_id != state.model_id:
                self._refused = self._refused.again(state.etag)
                self._swap(self._from_store(state.model_id))
            self._refused = Refused()
            self._keep(state.model_id)
            self._report(None)
        except RecommenderError as error:
            self._report(str(error))
        except Exception as error:
            log.exception("%s: could not be followed", self.channel)
            self._report(f"{type(error).__name__}: {error}")

    def _keep(self, model_id: str) -> None:
        """Note the version as the last good one, and as used: a cache that is cleaned by age keeps it."""
        if self._remembered != model_id:
            self._remember(model_id)
            self._remembered = model_id
        used(entry_of(model_id, self.cache, str(self.cache)))

    def _report(self, problem: str | None) -> None:
        if problem is not None:
            self.n_failures += 1
        if problem != self.problem:
            still = f"; {self.current.manifest.model_id} answers" if self.current else "; nothing can answer"
            log.warning("%s: %s%s", self.channel, problem or "well again", still)
        self.problem = problem

    def _swap(self, recommender: Recommender) -> None:
        before, loaded = self.current, Loaded(recommender, self.channel, time())
        self.current = loaded
        _used[self._entry(loaded)] += 1
        if before is not None:
            self.n_swaps += 1
            _used[self._entry(before)] -= 1
            if not _used[self._entry(before)]:
                # Requests that began with it keep its mapped files, also when they are removed.
                release(self.cache, self._entry(before))
            prune(self.cache)
        before_id = before.manifest.model_id if before else None
        log.info("%s: %s -> %s", self.channel, before_id, loaded.manifest.model_id)

    def _entry(self, loaded: Loaded) -> Path:
        return entry_of(loaded.manifest.model_id, self.cache, str(self.cache))

    def _from_store(self, model_id: str) -> Recommender:
        claim(self.cache)
        manifest = self.registry.manifest(model_id)
        directory = local_copy(self.registry, model_id, self.cache, SERVED)
        with guarded(directory, "the manifest"), scratch_file(directory / MANIFEST) as path:
            path.write_bytes(write_document(manifest))
            os.replace(path, directory / MANIFEST)
        return warm(Recommender(mapped(manifest, directory)))

    def _from_disk(self, model_id: str) -> Recommender:
        directory = entry_of(model_id, self.cache, str(self.cache))
        path = directory / MANIFEST
        try:
            manifest = read_manifest(path.read_bytes(), str(path), model_id)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        check_copy(manifest, directory, SERVED)
        used(directory)
        return warm(Recommender(mapped(manifest, directory)))

    @property
    def _folder(self) -> Path:
        """Of this channel of this registry."""
        where = sha256(self.registry.objects.uri("").encode()).hexdigest()[:16]
        return entry_path(self.cache, "serving", f"{self.channel}-{where}")

    def _last(self) -> str | None:
        try:
            return msgspec.json.decode((self._folder / LAST).read_bytes(), type=Last).model_id
        except (OSError, msgspec.MsgspecError):
            return None

    def _remember(self, model_id: str) -> None:
        make_entry(self._folder)
        with guarded(self._folder, "the name of the last version"), scratch_file(self._folder / LAST) as path:
            path.write_bytes(msgspec.json.encode(Last(model_id)))
            os.replace(path, self._folder / LAST)
        used(self._folder)


def warm(recommender: Recommender) -> Recommender:
    """Answer one request of each kind, so that whatever is computed once is there; return it."""
    first, version = np.zeros(1, dtype=np.int64), recommender.version
    version.prepare()
    known = version.users.names(first)[0] if len(version.users) else None
    recommender.recommend([Request(), Request(user=known), Request(user=known, variety=0.5)])
    recommender.similar(version.items.names(first)[0], Filters(k=1))
    return recommender
