"""A run task by task: seconds and peak memory of each, and the memory that training predicts.

    python -m benchmarks.stages [--reviews 1000000] [--core] [--factors 64]

Each task runs in a process of its own, on a local S3 server, as a job on another machine does; so its peak is what that
machine needs. The reference is the download: the same bytes, moved and hashed. `make bench` has this as a part.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from include.orchestration.heavy import HEAVY
from include.orchestration.remote.documents import GivenOutputs
from include.orchestration.run import Run, XCom
from include.recommender.config import TrainConfig
from include.recommender.data.counts import FoldCounts
from include.recommender.models.memory import MatrixSize, needed_bytes
from include.recommender.parameters import RETRAIN
from include.recommender.runs.journal import RunFacts, TaskRecord
from include.recommender.stages import prepare
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.objects import ObjectStore

from ._timing import ROOT, cpu_seconds, peak_bytes
from .reviews import write
from .shop import CORE, RAW, Shape

BUCKET, SNAPSHOT = "reviews", "2018-10-01"
AS_OF = "2018-10-01T00:00:00+00:00"
FIRST = ("resolve_snapshot", "download_reviews")
KEY = "bench"  # the local server takes any
TASKS = (
    *FIRST,
    *("parse_reviews", "encode_interactions", "choose_model", "train_als"),
    *("fit_neighbours", "fit_popularity", "fit_rivals", "evaluate", "refit"),
)


def client_at(endpoint: str) -> Any:
    """A client of the local server."""
    session = boto3.Session(KEY, KEY, region_name="us-east-1")
    return session.client("s3", endpoint_url=endpoint)


def run_of(state: Mapping[str, Any], task: str) -> Run:
    """The run, as a job opens it."""
    client, cache = client_at(state["endpoint"]), Path(state["folder"]) / "cache"
    cache.mkdir(exist_ok=True)
    stores = (ObjectStore(client, BUCKET, "shop"), ObjectStore(client, BUCKET, "shop/snapshots"))
    params = {name: each.default for name, each in RETRAIN.items()} | state["params"]
    facts = RunFacts(
        dag_id="recommender_retrain",
        run_id="bench",
        run_type="manual",
        run_date=AS_OF,
        as_of=AS_OF,
        snapshot=SNAPSHOT,
        channel="production",
        params=params,
    )
    record = TaskRecord(task=task, state="running", try_number=1, started_at=datetime.now(UTC).isoformat())
    return Run.of(facts, Workspace(*stores, cache), record, GivenOutputs(state["outputs"]))


def run_task(state: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Run one task in this process: its output, wall and CPU seconds, peak bytes."""
    run, started, cpu = run_of(state, task), time.perf_counter(), cpu_seconds()
    output = _first(run, task) if task in FIRST else HEAVY[task].body(run)
    found: dict[str, Any] = {"seconds": time.perf_counter() - started, "cpu_s": cpu_seconds() - cpu}
    found |= {"peak_bytes": peak_bytes(), "output": output}
    if task == "encode_interactions":
        fold = run.workspace.artifacts.open(output["uri"]).counted(FoldCounts)
        found["fold"] = {
            "shape": [fold.train_users, fold.train_items],
            "nnz": fold.train,
            "single": fold.train_single_users,
        }
    return found


def _first(run: Run, task: str) -> XCom:
    if task == "resolve_snapshot":
        return run.record_output(prepare.resolve_snapshot(run.workspace, run.facts.snapshot, run.run_date))
    return run.record_output(prepare.download_reviews(run.workspace, run.artifact("resolve_snapshot")))


def in_process(state_file: Path, task: str) -> dict[str, Any]:
    """`run_task` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.stages", "--task", task, "--state", str(state_file)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_all(reviews: Path, folder: Path, params: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Put a file of reviews as a snapshot, and run all tasks on it: the name of each, and what `run_task` found.

    Parameters
    ----------
    folder : for the cache of the tasks
    params : of the run, where they are not the defaults
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    state = {"endpoint": f"http://{host}:{port}", "folder": str(folder), "params": dict(params), "outputs": {}}
    try:
        client = client_at(str(state["endpoint"]))
        client.create_bucket(Bucket=BUCKET)
        client.upload_file(str(reviews), BUCKET, f"shop/snapshots/{SNAPSHOT}/{reviews.name}")
        yield from _each(state, folder / "state.json")
    finally:
        server.stop()


def _each(state: dict[str, Any], state_file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for task in TASKS:
        state_file.write_text(json.dumps(state))
        found = in_process(state_file, task)
        state["outputs"][task] = found["output"]
        yield task, found


def bench(reviews: int, factors: int, shape: Shape) -> None:
    """Generate, run all tasks, print a line each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.jsonl.gz"
        made = write(path, reviews, shape=shape)
        print(f"{made.json_bytes / 1e6:,.0f} MB of JSON, {made.packed_bytes / 1e6:,.0f} MB packed", flush=True)
        reference = 0.0
        for task, found in run_all(path, Path(folder), {"factors": factors}):
            reference = found["seconds"] if task == "download_reviews" else reference
            ratio = f"{found['seconds'] / reference:8.2f} x download" if reference else " " * 19
            print(f"{task:20} {found['seconds']:8.1f} s {ratio} {found['peak_bytes'] / 1e9:6.2f} GB", flush=True)
            if "fold" in found:
                print(f"{'':20} {predicted(found['fold'], factors)}", flush=True)


def predicted(fold: Mapping[str, Any], factors: int) -> str:
    """The size of a fold, and the memory that training it is predicted to take."""
    shape, nnz = tuple(fold["shape"]), fold["nnz"]
    gb = needed_bytes(MatrixSize.counted(shape[0], shape[1], nnz, fold["single"]), TrainConfig(factors=factors)) / 1e9
    return f"train {shape[0]:,} x {shape[1]:,}, {nnz:,} interactions: ALS predicts {gb:.2f} GB"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=1_000_000, help="number of review lines (default 1,000,000)")
    parser.add_argument("--core", action="store_true", help="the shape of a 5-core file instead of that of raw reviews")
    parser.add_argument("--factors", type=int, default=64, help="size of the model (default 64)")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        print(json.dumps(run_task(json.loads(given.state.read_text()), given.task)))
        return
    bench(given.reviews, given.factors, CORE if given.core else RAW)


if __name__ == "__main__":
    main()
