"""A recommender that follows its channel: a promotion or rollback is loaded beside the old version, then swapped in.

What is broken is refused, and the old version stays. The last good version is kept on disk, so that a server starts
without its store.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Event as Flag
from time import time
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


@dataclass
class Live:
    """The version that a channel points to, kept up to date by `follow`.

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

    def start(self) -> None:
        """Load the last good version from disk, if there is one, then what the channel points to."""
        claim(self.cache)
        model_id = self._last()
        if model_id is not None:
            try:
                self._swap(self._from_disk(model_id))
                log.info("%s: %s was loaded from disk", self.channel, model_id)
            except RecommenderError as error:
                log.warning("%s: the version on disk is not usable: %s", self.channel, error)
        self.look()

    def follow(self, stop: Flag, every_s: float) -> None:
        """Look again and again, until `stop` is set."""
        while not stop.wait(every_s):
            self.look()

    def look(self) -> None:
        """Look once where the channel points, and load that version if it is another one. Never raises."""
        try:
            state = self.registry.channels.read(self.channel)
            if state is None:
                raise NotFound(self.registry.channels.unknown(self.channel))
            self.looked_at = time()
            if self.current is None or self.current.manifest.model_id != state.model_id:
                self._swap(self._from_store(state.model_id))
                self._remember(state.model_id)
            self._report(None)
        except RecommenderError as error:
            self._report(str(error))
        except Exception as error:
            log.exception("%s: could not be followed", self.channel)
            self._report(f"{type(error).__name__}: {error}")

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
        if before is not None:
            self.n_swaps += 1
            # Requests that began with it keep its mapped files, also when they are removed.
            release(self.cache, entry_of(before.manifest.model_id, self.cache, str(self.cache)))
            prune(self.cache)
        before_id = before.manifest.model_id if before else None
        log.info("%s: %s -> %s", self.channel, before_id, loaded.manifest.model_id)

    def _from_store(self, model_id: str) -> Recommender:
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
    known = version.users.names(first)[0] if len(version.users) else None
    recommender.recommend([Request(), Request(user=known), Request(user=known, variety=0.5)])
    recommender.similar(version.items.names(first)[0], Filters(k=1))
    return recommender
