"""Prometheus metrics. With several processes the values of all are added up, through files in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ..serving.live import Live

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass
class Metrics:
    """What is measured."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _models: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        name, to = "recommender", self.registry
        self.seconds = Histogram(
            f"{name}_request_seconds", "Time of a request", ["route", "status"], buckets=LATENCY_S, registry=to
        )
        self.batch = Histogram(f"{name}_batch_requests", "Requests of one product", buckets=BATCH, registry=to)
        self.queue = Gauge(f"{name}_queue_requests", "Requests that wait", registry=to, multiprocess_mode="livesum")
        self.refused = Counter(f"{name}_refused", "Requests refused with 503", ["reason"], registry=to)
        self.lists = Counter(f"{name}_lists", "Lists, by how they came about", ["channel", "source"], registry=to)
        self.dropped = Gauge(
            f"{name}_access_log_dropped", "Lines that the access log lost", registry=to, multiprocess_mode="livesum"
        )
        self.cache = Counter(f"{name}_cache", "Looks into the cache of lists", ["found"], registry=to)
        self.cached = Gauge(f"{name}_cached_lists", "Lists in the cache", registry=to, multiprocess_mode="livesum")
        self.model = self._gauge("model_info", "1 for the version that answers", "channel", "model_id")
        self.loaded = self._gauge("model_loaded_timestamp_seconds", "When the version was loaded", "channel")
        self.known = self._gauge("model_known_until_timestamp_seconds", "Until when it knows everything", "channel")
        self.age = self._gauge("model_age_seconds", "Age of what the version knows", "channel")
        self.broken = self._gauge("channel_problem", "1 while the channel cannot be followed", "channel")
        self.looked = self._gauge("channel_looked_timestamp_seconds", "Last look that reached the store", "channel")
        self.swaps = self._gauge("model_swaps", "Versions swapped in since the start", "channel")
        self.failures = self._gauge("channel_failures", "Looks that failed since the start", "channel")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"recommender_{name}", text, labels, registry=self.registry, multiprocess_mode="livemax")

    def follow(self, live: Live) -> None:
        """Take over the state of a channel."""
        self.broken.labels(live.channel).set(live.problem is not None)
        self.looked.labels(live.channel).set(live.looked_at)
        self.swaps.labels(live.channel).set(live.n_swaps)
        self.failures.labels(live.channel).set(live.n_failures)
        if live.current is not None:
            known = live.current.manifest.known_until.timestamp()
            model_id = live.current.manifest.model_id
            before = self._models.get(live.channel, model_id)
            self.model.labels(live.channel, before).set(0)  # with several processes, no series can be removed
            self.model.labels(live.channel, model_id).set(1)
            self._models[live.channel] = model_id
            self.loaded.labels(live.channel).set(live.current.since)
            self.known.labels(live.channel).set(known)
            self.age.labels(live.channel).set(time() - known)

    def page(self) -> bytes:
        """All values, in the text format of Prometheus."""
        if MULTIPROCESS not in os.environ:
            return generate_latest(self.registry)
        _forget_dead(Path(os.environ[MULTIPROCESS]))
        every = CollectorRegistry()
        MultiProcessCollector(every)  # type: ignore[no-untyped-call]
        return generate_latest(every)


def _forget_dead(folder: Path) -> None:
    """Remove the gauges of processes that have ended; their counters stay in the sums."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
