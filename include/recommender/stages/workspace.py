"""The stores of stages, and running a stage at most once for the same inputs."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..registry.registry import Registry
from ..storage.artifacts import Artifact, ArtifactStore, fingerprint
from ..storage.documents import plain
from ..storage.objects import ObjectStore
from .facts import COUNTS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workspace:
    """The stores of one run.

    root : artifacts, models, channels and reports
    snapshots : dated review files, read only
    cache : local directory; it may be deleted at any time
    """

    root: ObjectStore
    snapshots: ObjectStore
    cache: Path

    @property
    def artifacts(self) -> ArtifactStore:
        """Stage outputs."""
        return ArtifactStore(self.root, self.cache, COUNTS)

    @property
    def registry(self) -> Registry:
        """Model versions and channels."""
        return Registry(self.root)


@dataclass(frozen=True)
class Outcome:
    """A stage's artifact, and whether it was reused."""

    artifact: Artifact
    reused: bool


@dataclass(frozen=True)
class Stage:
    """A stage: its name, and the digest of the code that it runs; see `code_of`."""

    name: str
    code: str


def run_once(
    workspace: Workspace,
    stage: Stage,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    make: Callable[[Path], msgspec.Struct | Mapping[str, object]],
    lineage: Mapping[str, Any] | None = None,
) -> Outcome:
    """Return the artifact of these inputs; run the stage if there is none.

    Parameters
    ----------
    inputs : name -> digest
    make : writes files into a directory and returns counts

    Raises
    ------
    DataError
        The artifact of these inputs has a wrong manifest.
    ConfigError
        The disk of the cache is full or not writable.
    """
    mark = fingerprint(stage.name, stage.code, config, inputs)
    store = workspace.artifacts
    found = store.find(stage.name, mark)
    if found is not None:
        log.info("Reused %s: same inputs and configuration", found.uri)
        return Outcome(found, True)
    started = time.monotonic()
    _reset_peak()
    with store.workdir(f"the output of {stage.name}") as directory:
        counts = plain(make(directory))
        timings = {"seconds": time.monotonic() - started, "peak_bytes": float(peak_bytes())}
        about = {"config": dict(config), "inputs": dict(inputs), **(lineage or {})}
        artifact = store.commit(stage.name, mark, directory, counts=counts, timings=timings, lineage=about)
    log.info("Made %s in %.1f s, peak memory %.0f MB", artifact.uri, timings["seconds"], timings["peak_bytes"] / 1e6)
    return Outcome(artifact, False)


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Peak resident memory since the stage began (Linux), or of the whole process (other systems)."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
