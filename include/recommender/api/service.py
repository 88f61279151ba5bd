"""What the routes share: the channels, the thread that computes, keys and metrics."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event, Semaphore, Thread
from typing import TypeVar
from weakref import WeakKeyDictionary

from ..models.blas import limit_process
from ..registry.locate import connect
from ..registry.registry import Registry
from ..serving import List, Request
from ..serving.live import Live, Loaded
from .audience import Audience
from .cached import CachedLists
from .compute import WIDE, Compute
from .keys import Keys
from .metrics import Metrics
from .problems import TooSlow
from .settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

PART = 16  # requests of a bulk that are computed at once
MOST_KEPT = 100  # items of a list, and ids of its filters, that the cache keeps


@dataclass
class Service:
    """One process of the API.

    keys : None answers everybody
    """

    settings: Settings
    audience: Audience
    keys: Keys | None
    metrics: Metrics = field(default_factory=Metrics)
    _caches: WeakKeyDictionary[Loaded, CachedLists] = field(default_factory=WeakKeyDictionary, init=False)
    _ending: Event = field(default_factory=Event, init=False)
    _looked: Semaphore = field(default_factory=partial(Semaphore, 0), init=False)
    _threads: list[Thread] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.compute = Compute(self.settings.config.queue, self.metrics.batch.observe)

    @classmethod
    def of(cls, settings: Settings, registry: Registry | None = None) -> Service:
        """The service of some settings. Raises ConfigError."""
        config = settings.config
        registry = registry or connect(settings.root, patient=False)
        main = Live(registry, config.channel, settings.cache)
        second = Live(registry, config.second_channel, settings.cache) if config.second_channel else None
        audience = Audience(main, second, config.second_share, config.experiment)
        return cls(settings, audience, Keys.read(config.keys_file) if config.keys_file else None)

    def start(self) -> None:
        """Start to compute and to follow the channels; requests are refused until the first version is loaded."""
        limit_process()
        self.compute.start()
        for live in self.audience.lives:
            thread = Thread(target=self._follow, args=(live,), name=f"follow-{live.channel}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait(self) -> None:
        """Until each channel was looked at once, whatever came of it."""
        for _ in self.audience.lives:
            self._looked.acquire()

    def stop(self) -> None:
        """End all threads."""
        self._ending.set()
        self.compute.stop()

    def _follow(self, live: Live) -> None:
        live.resume()
        if live.current is None:
            live.look()
        # What is loaded now stays: the collector of cycles need not look at it while requests wait (100 ms each time).
        gc.collect()
        gc.freeze()
        self.metrics.follow(live)
        self._looked.release()
        while not self._ending.is_set():
            live.look()
            self.metrics.follow(live)
            self._ending.wait(self.settings.config.poll_s)

    async def lists(self, requests: Sequence[Request]) -> list[tuple[str, List]]:
        """The channel and the list of each request, in their order.

        Raises
        ------
        NotReady, Busy, TooSlow
        """
        loaded = [self.audience.loaded_for(request.user) for request in requests]
        keys = [_key(each, request) for each, request in zip(loaded, requests, strict=True)]
        found = {place: self._cached(loaded[place], key) for place, key in enumerate(keys)}
        missing = [place for place, answered in found.items() if answered is None]
        async with self._in_time():
            for version in dict.fromkeys(loaded[place] for place in missing):
                places = [place for place in missing if loaded[place] is version]
                computed = await self._computed(version, [requests[place] for place in places])
                for place, answered in zip(places, computed, strict=True):
                    found[place] = answered
                    key = keys[place]
                    if key is not None:
                        self._cache(version).put(key, answered)
        answers = [(each.channel, answered) for each, answered in zip(loaded, found.values(), strict=True) if answered]
        for channel, answered in answers:
            self.metrics.lists.labels(channel, answered.source.value).inc()
        return answers

    async def _computed(self, version: Loaded, requests: Sequence[Request]) -> list[List]:
        """A long bulk in small parts, so that others need not wait for all of it; lists that take long one by one."""
        usual, found, start = max(1, min(PART, version.recommender.block)), [], 0
        while start < len(requests):
            n = 1 if requests[start].needed > WIDE else usual
            found += await self.compute.lists(version.recommender, requests[start : start + n])
            start += n
        return found

    async def call(self, work: Callable[[], T]) -> T:
        """Any other work on a model. Raises what it raises; Busy, TooSlow."""
        async with self._in_time():
            return await self.compute.call(work)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """One deadline for a whole request."""
        try:
            async with asyncio.timeout(self.settings.config.timeout_s):
                yield
        except TimeoutError:
            raise TooSlow from None

    def page(self) -> bytes:
        """All metrics, as they are now."""
        self.metrics.queue.set(len(self.compute))
        self.metrics.cached.set(sum(map(len, self._caches.values())))
        return self.metrics.page()

    def _cached(self, loaded: Loaded, key: Request | None) -> List | None:
        found = self._cache(loaded).get(key) if key is not None else None
        self.metrics.cache.labels("no" if found is None else "yes").inc()
        return found

    def _cache(self, loaded: Loaded) -> CachedLists:
        found = self._caches.get(loaded)
        if found is None:
            found = self._caches[loaded] = CachedLists(self.settings.config.cache)
        return found


def _key(loaded: Loaded, request: Request) -> Request | None:
    """What a list is kept by, None for one that is not kept: it would be large, or hardly be asked for again.

    Requests with equal answers are one: a user who is not known is nobody.
    """
    filters = len(request.exclude) + len(request.allow or ())
    if request.events or filters > MOST_KEPT or request.k + request.offset > MOST_KEPT:
        return None
    if request.user is None or request.user in loaded.recommender.version.users:
        return request
    return replace(request, user=None)
