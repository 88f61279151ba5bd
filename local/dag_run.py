"""One run of the DAG through Airflow itself, in a process of its own that `local.run` starts.

Airflow's own output goes to a log file; the terminal gets one line a message of the project's own loggers.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from include.recommender.data.counts import ParseCounts
from include.recommender.data.reviews import QUARANTINE
from include.recommender.errors import ConfigError, DataError, NotFound, RecommenderError
from include.recommender.plain_text import shown_lines
from include.recommender.reporting.trend import trend_name
from include.recommender.runs.dag_names import BATCH_DAG, RETRAIN_DAG, TUNE_DAG
from include.recommender.runs.journal import TaskRecord
from include.recommender.stages.workspace import Workspace
from include.recommender.storage.disk import guarded
from include.recommender.storage.objects import ObjectStore
from include.recommender.storage.plain_names import name_problem
from include.recommender.storage.scratch import scratch_file

from .batch_ending import batch_ending, copy_batch
from .ending import Copies, ending, status
from .environment import PROJECT
from .progress import Progress
from .task_api import keep_newest_versions
from .tune_ending import tune_ending

PARSE = "parse_reviews"


def main() -> int:
    """Command line of the child; the exit status is that of `make run`."""
    parser = argparse.ArgumentParser(prog="python -m local.dag_run", description=__doc__)
    parser.add_argument("--dag", required=True, help="id of the DAG")
    parser.add_argument("--conf", required=True, help="parameters of the DAG, a JSON object")
    parser.add_argument("--log", type=Path, required=True, help="where Airflow's output goes")
    parser.add_argument("--local", type=Path, required=True, help="the .local directory")
    given = parser.parse_args()
    terminal = _redirect_output(given.log)
    _end_with_owner()
    # Airflow's start makes millions of objects that stay; looking for garbage among them is a quarter of its time.
    gc.disable()
    try:
        return run(given.dag, json.loads(given.conf), given.local, Progress(terminal, at_first=_collect_again))
    except RecommenderError as error:
        print(f"\nError: {shown_lines(str(error))}", file=terminal)
        return 1


def _collect_again() -> None:
    """Collect garbage from now on, but not among what is there."""
    gc.freeze()
    gc.enable()


def run(dag_id: str, conf: dict[str, Any], local: Path, progress: Progress) -> int:
    """Run the DAG to its end, and print how it ended.

    Raises
    ------
    RecommenderError
        The run could not begin, or left no report.
    """
    keep_newest_versions()
    _migrate(local, progress)
    dag = _load(dag_id)
    progress.attach()
    progress.say(f"Airflow is ready after {time.monotonic() - progress.started:.1f} s")
    progress.say("Serializing the DAGs, and starting Airflow's API in this process: 5 s before the first task ...")
    from airflow.sdk.exceptions import ParamValidationError

    try:
        outcome = dag.test(logical_date=datetime.now(UTC), run_conf=conf)
    except ParamValidationError as error:
        raise ConfigError(f"CONF={json.dumps(conf)}: {error}") from error
    report = {RETRAIN_DAG: _report_run, TUNE_DAG: _report_search, BATCH_DAG: _report_batch}[dag_id]
    exit_status = report(outcome.run_id, local, progress)
    print(progress.times(), file=progress.terminal)
    return exit_status


def _report_run(run_id: str, local: Path, progress: Progress) -> int:
    """Copy the report and recall over time into `.local`, print how the run ended, return the exit status."""
    from include.orchestration.settings import Settings
    from include.recommender.registry.channels import Channels
    from include.recommender.reporting.report import read_report
    from include.recommender.runs.journal import Journal, folder_id

    workspace = Settings.from_environment().workspace()
    root, journal = workspace.root, Journal(workspace.root, folder_id(RETRAIN_DAG, run_id))
    try:
        key = f"{journal.folder}/report.json"
        report = read_report(root.read(key), root.uri(key))
    except NotFound:
        raise DataError(progress.failure or "the run failed before it could write its report") from None
    copies = copy_pages(root, journal.folder, report.channel, local)
    copies = replace(copies, dropped=copy_quarantine(workspace, report.tasks, copies.report.with_name(QUARANTINE)))
    state = Channels(root).read(report.channel)
    print(shown_lines(ending(report, copies, state.model_id if state else None)), file=progress.terminal)
    return status(report)


def _report_search(run_id: str, local: Path, progress: Progress) -> int:
    """The same of a search, which has a winner or not; that is a result either way."""
    from include.orchestration.settings import Settings
    from include.recommender.runs.journal import Journal, folder_id
    from include.recommender.tuning.search_report import read_report

    root = Settings.from_environment().workspace().root
    journal = Journal(root, folder_id(TUNE_DAG, run_id))
    copy = local / journal.folder
    names = ("tuning.json", "report.html")
    if not all(_copy(root, f"{journal.folder}/{name}", copy / name) for name in names):
        raise DataError(progress.failure or "the search failed before it could write its report")
    key = f"{journal.folder}/tuning.json"
    report = read_report(root.read(key), root.uri(key))
    print(shown_lines(tune_ending(report, copy / "report.html")), file=progress.terminal)
    return 0 if report.choice and not report.error else 1


def _report_batch(run_id: str, local: Path, progress: Progress) -> int:
    """Copy the lists into `.local`, and print where they are."""
    from include.orchestration.settings import Settings
    from include.recommender.runs.journal import Journal, folder_id

    root = Settings.from_environment().workspace().root
    try:
        uri = Journal(root, folder_id(BATCH_DAG, run_id)).read("write_manifest").facts["uri"]
    except (NotFound, KeyError):
        raise DataError(progress.failure or "the batch failed before it could write its manifest") from None
    copied = copy_batch(root, str(uri), local)
    print(shown_lines(batch_ending(copied, _from_here(copied.folder))), file=progress.terminal)
    return 0


def copy_pages(root: ObjectStore, folder: str, channel: str, local: Path) -> Copies:
    """Copies of a run's pages whose links work: its report, recall over time, and the earlier reports it links to.

    Those of one root lie in a folder of their own, as each root has its own recall over time.
    """
    to = local / "reports" / root.prefix
    if name_problem(channel):
        raise DataError(f"{root.uri(folder)}/report.json: the channel {channel!a} {name_problem(channel)}")
    copied = {name: _copy(root, f"reports/{name}", to / name) for name in (trend_name(channel), "trend.html")}
    # A folder of another name was made by something else, and could lead out of `to`.
    for run in (name for name in root.folders("reports/") if not name_problem(name)):
        for name in ("report.json", "report.html"):
            path = to / run / name
            if f"reports/{run}" == folder or not path.exists():
                _copy(root, f"reports/{run}/{name}", path)
    page = f"{folder}/report.html"
    trend = _from_here(to / trend_name(channel)) if copied[trend_name(channel)] else None
    return Copies(root.uri(page), _from_here(to / page.removeprefix("reports/")), trend)


def copy_quarantine(workspace: Workspace, tasks: Sequence[TaskRecord], path: Path) -> Path | None:
    """A copy of the lines that the parse left out, where there are any."""
    keys = [key for row in tasks for key in _quarantines(workspace, row)]
    return next((path for key in keys if _copy(workspace.root, key, path)), None)


def _quarantines(workspace: Workspace, row: TaskRecord) -> Iterator[str]:
    """Keys of what a parse left out, and of what one that refused a file kept."""
    if PARSE in row.artifacts:
        parsed = workspace.artifacts.open(row.artifacts[PARSE])
        if parsed.counted(ParseCounts).quarantined:
            yield parsed.key(QUARANTINE)
    if row.task == PARSE and row.error:
        ours = workspace.root.uri("")
        yield from re.findall(rf"{re.escape(ours)}(\S+/{QUARANTINE})", row.error.message)


def _from_here(path: Path) -> Path:
    """Relative where it lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _copy(root: ObjectStore, key: str, path: Path) -> bool:
    """Whether there is such a page."""
    try:
        data = root.read(key)
    except NotFound:
        return False
    with guarded(path, "a copy of a report", len(data)), scratch_file(path) as part:
        part.write_bytes(data)
        part.replace(path)  # in one step, and not through a link that lies there
    return True


def _migrate(local: Path, progress: Progress) -> None:
    """Make Airflow's tables, once a version of Airflow."""
    done = local / "airflow" / "migrated"
    wanted = f"{version('apache-airflow')} {os.environ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}"
    if done.exists() and done.read_text() == wanted:
        return
    progress.say("Creating the tables of Airflow's database (once) ...")
    from airflow.utils.db import upgradedb

    upgradedb()
    done.write_text(wanted)


def _load(dag_id: str) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(PROJECT / "dags" / f"{dag_id}.py"))
    if bag.import_errors:
        raise ConfigError(f"dags/{dag_id}.py does not load:\n" + "\n".join(bag.import_errors.values()))
    return bag.dags[dag_id]


def _end_with_owner() -> None:
    """End this process group at once when the process that started it has ended, even by SIGKILL.

    That one holds the other end of the pipe that is our standard input, and never writes to it.
    """
    owner, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        os.read(owner, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="owner", daemon=True).start()


def _redirect_output(log: Path) -> TextIO:
    """Send what this process and its libraries print to the log file; return the terminal."""
    sys.stdout.flush()
    terminal = os.fdopen(os.dup(1), "w", buffering=1)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    return terminal


if __name__ == "__main__":
    outcome = main()
    sys.stdout.flush()
    # Not sys.exit: tearing Airflow's modules down takes seconds, and everything is on disk.
    os._exit(outcome)
