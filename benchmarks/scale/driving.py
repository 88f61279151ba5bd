"""One run of the real DAG on a file of reviews, as `make run` does it, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deploy.stack import BUCKET
from include.recommender.config import TrainConfig
from include.recommender.data.counts import FoldCounts
from include.recommender.models.memory import MatrixSize, needed_bytes
from include.recommender.runs.dag_names import RETRAIN_DAG
from include.recommender.runs.journal import Journal, TaskRecord, folder_id
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.cache import FOLDER
from include.recommender.storage.objects import ObjectStore
from local import store
from local.home import Home
from local.uploads import find_reviews, reviews_prefix

from .._timing import ROOT
from ..reviews import Written
from .figures import RunFigures, TaskFigures
from .memory import Watch, cpu_within, peak_within

ENCODED = "encode_interactions"
# Task that fits -> task that made its fold.
FITS = {"train_als": ENCODED, "refit": "refit"}
# The file, its copies in the local S3 and in the cache, and what the stages write to both.
DISK_A_REVIEW = 1_000


@dataclass(frozen=True, kw_only=True)
class Drive:
    """Where runs happen, and on what.

    reviews : a folder of files
    home : kept by `local.run`; a run in a home that has run before shares its artifacts
    conf : parameters of the DAG
    """

    reviews: Path
    made: Written
    layout: str
    home: Path
    port: int
    conf: Mapping[str, Any]

    def run(self, as_of: str = "") -> RunFigures:
        """Run the DAG to its end, and collect what it cost.

        Raises
        ------
        CalledProcessError
            It ended without a verdict. Its output has said why.
        """
        conf = {**self.conf, **({"as_of": as_of} if as_of else {})}
        options = ["--reviews", str(self.reviews), "--local", str(self.home), "--s3-port", str(self.port)]
        command = [sys.executable, "-m", "local.run", *options, "--conf", json.dumps(conf)]
        began_s = time.time()
        # What the run says is progress here; the tables alone go to standard output.
        child = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=sys.stderr)
        with Watch(child.pid) as watch:
            returncode = _wait(child)
        seconds = time.time() - began_s
        if returncode:
            raise subprocess.CalledProcessError(returncode, command)
        tasks, first_s = self._tasks(watch)
        return RunFigures(
            reviews=self.made.lines,
            layout=self.layout,
            json_bytes=self.made.json_bytes,
            packed_bytes=self.made.packed_bytes,
            commit=_commit(),
            as_of=as_of,
            seconds=seconds,
            first_task_s=first_s - began_s,
            store_bytes=watch.store_peak,
            available_bytes=watch.least_available,
            disk_bytes=_used(self.home),
            tasks=tasks,
        )

    def _tasks(self, watch: Watch) -> tuple[list[TaskFigures], float]:
        """The tasks of the newest run, and the instant at which the first began."""
        home = Home(self.home)
        with home.own("a scale run"), store.serve(home, self.port) as server:
            root = ObjectStore(server.client(), BUCKET, reviews_prefix(find_reviews(str(self.reviews))))
            workspace = Workspace(root, root.under("snapshots"), self.home / "cache" / FOLDER)
            records = _newest(root)
            tasks = [_figures(workspace, record, watch) for record in records]
            sizes = {record.task: _fold(workspace, record) for record in records if ENCODED in record.artifacts}
        return [self._predicted(row, sizes) for row in tasks], _began_s(records[0])

    def _predicted(self, row: TaskFigures, sizes: Mapping[str, FoldCounts]) -> TaskFigures:
        """With the memory that the project predicts for its fit, if it fits."""
        fold = sizes.get(FITS.get(row.task, ""))
        if fold is None:
            return row
        size = MatrixSize.counted(fold.train_users, fold.train_items, fold.train, fold.train_single_users)
        return replace(row, predicted_bytes=needed_bytes(size, TrainConfig(factors=self._factors)))

    @property
    def _factors(self) -> int:
        return int(self.conf.get("factors", 64))


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Its exit status; it ends with this process, and stops what it started."""
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise


def _newest(root: ObjectStore) -> list[TaskRecord]:
    runs = [Journal(root, name).records() for name in _run_ids(root)]
    return max(runs, key=lambda records: records[0].started_at)


def _run_ids(root: ObjectStore) -> list[str]:
    """The ids of all retrainings, as their journals are opened by."""
    facts = (json.loads(root.read(f"reports/{name}/run.json")) for name in root.folders("reports/"))
    return [folder_id(row["dag_id"], row["run_id"]) for row in facts if row["dag_id"] == RETRAIN_DAG]


def _figures(workspace: Workspace, record: TaskRecord, watch: Watch) -> TaskFigures:
    began_s = _began_s(record)
    held, peak = peak_within(watch.readings, began_s, began_s + record.seconds)
    made = [workspace.artifacts.open(uri) for uri in record.artifacts.values()]
    return TaskFigures(
        task=record.task,
        state=record.state,
        seconds=record.seconds,
        cpu_s=cpu_within(watch.readings, began_s, began_s + record.seconds),
        held_bytes=held,
        peak_bytes=peak,
        artifact_bytes=sum(entry.size_bytes for each in made for entry in each.files.values()),
    )


def _fold(workspace: Workspace, record: TaskRecord) -> FoldCounts:
    return workspace.artifacts.open(record.artifacts[ENCODED]).counted(FoldCounts)


def _began_s(record: TaskRecord) -> float:
    return datetime.fromisoformat(record.started_at).timestamp()


def _environment() -> dict[str, str]:
    """Without what `make` would pass on, and without settings of another deployment."""
    dropped = {"REVIEWS", "CONF", "SNAPSHOT"}
    return {name: text for name, text in os.environ.items() if name not in dropped and "RECOMMENDER" not in name}


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def _used(folder: Path) -> int:
    """Bytes on disk below a folder."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def check_disk(folder: Path, n_reviews: int) -> None:
    """Raise OSError if there is too little space for a run."""
    needed, free = DISK_A_REVIEW * n_reviews, shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{folder}: {free / 1e9:.1f} GB are free, {n_reviews:,} reviews need up to {needed / 1e9:.1f} GB")
