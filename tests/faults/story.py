"""A run over a store that holds a champion already, stage by stage, each with the state of the bucket before it."""

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.recommender.errors import RecommenderError
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.artifacts import Artifact, FileEntry

from .. import worlds
from .proxy import Script
from .stages import BUCKET, STAGES
from .zygote import Job, Zygote

FIRST, SECOND = "2018-07-03T00:00:00+00:00", "2018-09-01T00:00:00+00:00"
REVIEWS = worlds.reviews(n_users=300, n_items=60)


@dataclass
class Chapter:
    """One stage of the undisturbed run: what it found, was asked, answered and left.

    requests, paths : methods and paths of its requests to the store, in their order
    n_deeds : how often it changed something in its cache
    """

    before: dict[str, bytes]
    cache: Path
    handles: dict[str, Any]
    handle: Any = None
    requests: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    n_deeds: int = 0
    after: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Story:
    """The second of two runs, and the means to run any stage of it again."""

    direct: Workspace
    endpoint: str
    script: Script
    zygote: Zygote
    folder: Path
    chapters: dict[str, Chapter] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def run(self) -> None:
        """Two undisturbed runs; the chapters are of the second."""
        self._put_snapshot("2018-07-02", worlds.before(REVIEWS, "2018-07-02"))
        self._put_snapshot("2018-08-27", REVIEWS)
        self._tell_run("first", FIRST)
        self.chapters.clear()
        self._tell_run("second", SECOND)

    def _put_snapshot(self, date: str, rows: list[dict[str, Any]]) -> None:
        self.direct.snapshots.write(f"{date}/reviews.jsonl.gz", worlds.packed(rows))

    def _tell_run(self, run_id: str, as_of: str) -> None:
        handles: dict[str, Any] = {}
        worker = self.folder / f"{run_id}-worker"
        for stage in STAGES:
            cache = self.folder / f"{run_id}-{stage}"
            shutil.copytree(worker, cache) if worker.exists() else cache.mkdir()
            chapter = Chapter(self.bucket(), cache, dict(handles))
            self.chapters[stage] = chapter
            self.script.seen.clear()
            done = self.start(stage, worker, run_id, as_of).result()
            assert done is not None
            chapter.handle, chapter.n_deeds = done["handle"], done["deeds"]
            chapter.requests, chapter.paths = ([row[at] for row in self.script.seen] for at in (0, 1))
            chapter.after = self.bucket()
            handles[stage] = chapter.handle

    def start(
        self, stage: str, cache: Path, run_id: str = "second", as_of: str = SECOND, die_at: int | None = None
    ) -> Job:
        """Run a stage in a process of its own, through the proxy."""
        return self.zygote.start(
            stage=stage,
            endpoint=self.endpoint,
            cache=str(cache),
            run_id=run_id,
            as_of=as_of,
            handles=self.chapters[stage].handles,
            die_at=die_at,
        )

    @contextlib.contextmanager
    def worker(self, stage: str) -> Iterator[Path]:
        """The bucket as before the stage, and a cache as its worker had it then."""
        self.restore(self.chapters[stage].before)
        self.script.faults.clear()
        cache = self.folder / "worker"
        shutil.copytree(self.chapters[stage].cache, cache)
        try:
            yield cache
        finally:
            shutil.rmtree(cache)

    def bucket(self) -> dict[str, bytes]:
        """Everything in the store."""
        found = {}
        for row in self.direct.root.walk():
            # This store's ETag is the MD5 of the content: what was read once need not be read again.
            if row.etag not in self.contents:
                self.contents[row.etag] = self.direct.root.read(row.key)
            found[row.key] = self.contents[row.etag]
        return found

    def restore(self, content: dict[str, bytes]) -> None:
        """Put the store back."""
        now = self.bucket()
        self.direct.root.delete(sorted(now.keys() - content.keys()))
        for key, data in content.items():
            if now.get(key) != data:
                self.direct.root.write(key, data)

    def problems(self) -> list[str]:
        """What a reader would stumble over at this moment."""
        content = self.bucket()
        return [*_unparsable(content), *_damaged(content), *_dangling_pointer(self.direct)]


def _unparsable(content: dict[str, bytes]) -> Iterator[str]:
    for key, data in content.items():
        if key.endswith(".json"):
            try:
                json.loads(data)
            except ValueError as error:
                yield f"{key}: {error}"


def _damaged(content: dict[str, bytes]) -> Iterator[str]:
    for key, data in content.items():
        if re.fullmatch(r"(artifacts/\w+/\w+|models/[^/]+)/manifest\.json", key):
            body, folder = json.loads(data), key.rsplit("/", 1)[0]
            for where, digest in _promised(key.startswith("artifacts/"), body, folder):
                if hashlib.sha256(content.get(where, b"nothing")).hexdigest() != digest:
                    yield f"{where}: not what the manifest says"


def _promised(of_artifact: bool, body: dict[str, Any], folder: str) -> Iterator[tuple[str, str]]:
    """Key and SHA-256 of every file that a manifest names."""
    if of_artifact:
        files = {name: FileEntry(**entry) for name, entry in body["files"].items()}
        artifact = Artifact(stage=body["stage"], fingerprint=body["fingerprint"], uri="", files=files)
        yield from ((artifact.key(name), entry.sha256) for name, entry in files.items())
    else:
        yield from ((f"{folder}/{entry['stored_as']}", entry["sha256"]) for entry in body["files"].values())


def _dangling_pointer(direct: Workspace) -> Iterator[str]:
    try:
        state = direct.registry.channels.read("production")
        if state is not None:
            direct.registry.manifest(state.model_id)
            direct.registry.channels.history("production")
    except RecommenderError as error:
        yield str(error)


def essence(content: dict[str, bytes]) -> dict[str, list[Any]]:
    """What must not depend on whether a run was disturbed: all but durations, and when moves and versions were made."""
    found: dict[str, list[Any]] = {}
    for key, data in content.items():
        if key.startswith("channels/.probe-"):
            continue  # of a process that was killed while it tried the store; nobody reads it
        found.setdefault(_undated(key), []).append(_timeless(key, data))
    return found


def _undated(key: str) -> str:
    return re.sub(r"(/history/\d+)-.*", r"\1", key)


def _timeless(key: str, data: bytes) -> Any:
    if key.startswith("artifacts/") and key.endswith("/manifest.json"):
        body = json.loads(data)
        body["counts"].pop("seconds_per_iteration", None)
        body.pop("checksum")
        return {**body, "timings": sorted(body["timings"])}
    if key.startswith("channels/") and key.endswith(".json"):
        return {**json.loads(data), "moved_at": None, "digest": None}
    if key.startswith("models/") and key.endswith("/manifest.json"):
        return {**json.loads(data), "created_at": None, "digest": None}
    return hashlib.sha256(data).hexdigest()


__all__ = ["BUCKET", "Story", "essence"]
