"""The tasks of a run as `include/orchestration/tasks.py` calls them, one at a time, without Airflow.

Runs in the children of the zygote. `handles` is what XCom carries: stage -> URI, or a small dict.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

# Imported here, before the first fork, for the children: the stages import them where they are used.
import pandas as _pandas  # noqa: F401
import pyarrow.dataset as _dataset  # noqa: F401
import pyarrow.pandas_compat as _pandas_compat  # noqa: F401
from botocore.config import Config
from implicit.cpu import als as _als  # noqa: F401
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from include.recommender.config import RetrainConfig
from include.recommender.data import distinct as _distinct  # noqa: F401
from include.recommender.data import scanning as _scanning  # noqa: F401
from include.recommender.models import prior_kernels as _prior_kernels  # noqa: F401
from include.recommender.models.als import kernels as _kernels  # noqa: F401
from include.recommender.registry.code import code_of_stages
from include.recommender.reporting import html as _html  # noqa: F401
from include.recommender.runs.journal import Journal, RunFacts, TaskRecord
from include.recommender.stages import fit, judge, prepare, promote, publish
from include.recommender.stages import profiles as quality
from include.recommender.stages import run_report as report
from include.recommender.stages.candidate import Candidate
from include.recommender.stages.fit import Fitted
from include.recommender.stages.publish import Published, RunArtifacts
from include.recommender.stages.warm import candidate_start
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.artifacts import Artifact
from include.recommender.storage.objects import ObjectStore

BUCKET, CHANNEL = "reviews", "production"
# Whatever changes a directory, and what opens a file; an audit event comes before the deed.
FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.copyfile"}
PARAMS = {
    "factors": 8,
    "iterations": 2,
    "warm_iterations": 2,
    "warm_start": True,
    "champion_tolerance": 1.0,
    "resamples": 10_000,
}
CONFIG = RetrainConfig.from_params(PARAMS)
# The fields of `Fitted`, by which `refit` hands its outputs on.
PARTS = ("encoded", "chosen", "trained", "neighbours")


def warm_up() -> None:
    """Have the fonts, the description of S3 and the code's digests read once, and not by each child."""
    workspace_at("http://127.0.0.1:9", os.curdir)
    code_of_stages()
    figure = Figure()
    figure.subplots().set_title("Recall")
    FigureCanvasSVG(figure).print_svg(io.BytesIO())


def workspace_at(endpoint: str, cache: str, **settings: Any) -> Workspace:
    """The stores of a worker, with retries of its own."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}, **settings),
    )
    return Workspace(ObjectStore(client, BUCKET, "shop"), ObjectStore(client, BUCKET, "shop/snapshots"), Path(cache))


class Task:
    """One task of one run: what it is given."""

    def __init__(self, workspace: Workspace, run_id: str, as_of: str, handles: dict[str, Any]) -> None:
        self.workspace, self.run_id, self.as_of, self.handles = (
            workspace,
            run_id,
            datetime.fromisoformat(as_of),
            handles,
        )

    def open(self, stage: str, name: str = "uri") -> Artifact:
        """The artifact that an earlier task handed on."""
        return self.workspace.artifacts.open(self.handles[stage][name])

    def fitted(self) -> Fitted:
        """The candidate."""
        return Fitted(*map(self.open, ("encode_interactions", "choose_model", "train_als", "fit_neighbours")))


def _uri(outcome: Any) -> dict[str, Any]:
    return {"uri": outcome.artifact.uri}


def resolve_snapshot(task: Task) -> Any:
    return _uri(prepare.resolve_snapshot(task.workspace, None, task.as_of))


def download_reviews(task: Task) -> Any:
    return _uri(prepare.download_reviews(task.workspace, task.open("resolve_snapshot")))


def parse_reviews(task: Task) -> Any:
    return _uri(prepare.parse_reviews(task.workspace, task.open("download_reviews"), CONFIG.parse))


def check_snapshot(task: Task) -> Any:
    name = task.open("resolve_snapshot").counts["snapshot"]
    checks = quality.check_snapshot(task.workspace, name, task.open("parse_reviews"), CONFIG.quality)
    return [str(check) for check in checks]


def encode_interactions(task: Task) -> Any:
    return _uri(prepare.encode_interactions(task.workspace, task.open("parse_reviews"), task.as_of, CONFIG.encode))


def choose_model(task: Task) -> Any:
    return _uri(fit.choose_model(task.workspace, task.open("encode_interactions"), CONFIG))


def train_als(task: Task) -> Any:
    fold, fixed = task.open("encode_interactions"), fit.fixed_config(task.open("choose_model"), CONFIG)
    start = candidate_start(task.workspace, fold, CHANNEL, fixed.train)
    return _uri(fit.train_als(task.workspace, task.open("parse_reviews"), fold, fixed=fixed, start=start))


def fit_neighbours(task: Task) -> Any:
    fold, chosen = task.open("encode_interactions"), task.open("choose_model")
    return _uri(fit.fit_neighbours(task.workspace, fold, chosen, CONFIG))


def fit_rivals(task: Task) -> Any:
    return _uri(fit.fit_rivals(task.workspace, task.open("encode_interactions"), CONFIG))


def fit_popularity(task: Task) -> Any:
    return _uri(fit.fit_popularity(task.workspace, task.open("encode_interactions"), CONFIG.popularity))


def evaluate(task: Task) -> Any:
    candidate = Candidate(
        workspace=task.workspace,
        parsed=task.open("parse_reviews"),
        fitted=task.fitted(),
        baselines=task.open("fit_popularity"),
        rivals=task.open("fit_rivals"),
        as_of=task.as_of,
        channel=CHANNEL,
        config=CONFIG,
    )
    return _uri(judge.evaluate(candidate))


def recall_gate(task: Task) -> Any:
    judged = task.open("evaluate")
    outcome = judge.recall_gate(
        task.workspace, judged, top_k=CONFIG.evaluate.top_k, force_reason=None, config=CONFIG.gate
    )
    judge.require_promotion(task.workspace, outcome.artifact)
    return _uri(outcome)


def refit(task: Task) -> Any:
    outcomes = fit.refit(task.workspace, task.open("parse_reviews"), task.fitted(), as_of=task.as_of, config=CONFIG)
    return {name: outcome.artifact.uri for name, outcome in outcomes.items()}


def upload_model(task: Task) -> Any:
    made = RunArtifacts(
        resolved=task.open("resolve_snapshot"),
        downloaded=task.open("download_reviews"),
        parsed=task.open("parse_reviews"),
        judged=task.fitted(),
        baselines=task.open("fit_popularity"),
        rivals=task.open("fit_rivals"),
        evaluated=task.open("evaluate"),
        gated=task.open("recall_gate"),
        published=Fitted(*(task.open("refit", name) if name in task.handles["refit"] else None for name in PARTS)),
    )
    publication = publish.Publication(artifacts=made, as_of=task.as_of, run=task.run_id, config=CONFIG)
    return asdict(publish.upload_model(task.workspace, publication))


def promote_model(task: Task) -> Any:
    published = Published(**task.handles["upload_model"])
    asked = promote.PromotionRequest(
        published=published, channel=CHANNEL, who="dag", run=task.run_id, why="verdict PROMOTE"
    )
    return asdict(promote.promote_model(task.workspace, asked, task.open("evaluate")))


def write_report(task: Task) -> Any:
    """The teardown; what the other tasks would have noted comes first."""
    journal = Journal(task.workspace.root, task.run_id)
    as_of = task.as_of.isoformat()
    journal.write_run(
        RunFacts(
            dag_id="retrain",
            run_id=task.run_id,
            run_type="manual",
            run_date=as_of,
            as_of=as_of,
            snapshot=None,
            channel=CHANNEL,
            params=PARAMS,
        )
    )
    for name in list(STAGES)[:-1]:
        handle = task.handles[name]
        facts = handle if name in {"upload_model", "promote_model"} else {}
        uris = [] if facts or name == "check_snapshot" else handle.values()
        artifacts = {uri.split("/")[-2]: uri for uri in uris}
        journal.write(
            TaskRecord(
                task=name,
                state="success",
                try_number=1,
                started_at=as_of,
                seconds=1.0,
                peak_bytes=1,
                artifacts=artifacts,
                facts=facts,
            )
        )
    return report.write_report(task.workspace, task.run_id)


STAGES: dict[str, Callable[[Task], Any]] = {
    each.__name__: each
    for each in (
        *(resolve_snapshot, download_reviews, parse_reviews, check_snapshot, encode_interactions),
        *(choose_model, train_als, fit_neighbours, fit_popularity, fit_rivals),
        *(evaluate, recall_gate, refit, upload_model, promote_model, write_report),
    )
}


class Clock:
    """Counts what this process does to files below a directory, and kills it before a certain deed."""

    def __init__(self, directory: str, die_at: int | None) -> None:
        self.directory, self.die_at, self.count = directory, die_at, 0
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in FILE_EVENTS or not self._is_ours(event, args):
            return
        self.count += 1
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_ours(self, event: str, args: tuple[Any, ...]) -> bool:
        if event in {"os.remove", "os.rmdir"}:
            return True  # of a tree that is removed, relative to a directory
        path = args[0]
        reads = event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR)
        return not reads and isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.directory)


def run(
    stage: str,
    endpoint: str,
    cache: str,
    run_id: str,
    as_of: str,
    handles: dict[str, Any],
    die_at: int | None = None,
) -> dict[str, Any]:
    """Run a stage; return its handle and how many deeds it did to files of the cache."""
    clock = Clock(cache, die_at)
    handle = STAGES[stage](Task(workspace_at(endpoint, cache), run_id, as_of, handles))
    return {"handle": handle, "deeds": clock.count}
