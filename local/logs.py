"""Bounds of the logs that a run or a day leaves; local/children.py rotates those of the parts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .home import Home

RUNS_KEPT = 50  # of a DAG in the UI
OUTPUTS_KEPT = 20  # of `make run`
DAYS_KEPT = 7  # of the DAG processor


def prune(home: Home) -> None:
    """Remove the oldest logs beyond what is kept."""
    _keep_newest(home.logs.glob("run-*.log"), OUTPUTS_KEPT)
    for dag in (home.logs / "tasks").glob("dag_id=*"):
        _keep_newest(dag.glob("run_id=*"), RUNS_KEPT)
    _keep_newest((home.logs / "dag_processor").glob("????-??-??"), DAYS_KEPT)


def _keep_newest(paths: Iterable[Path], n_kept: int) -> None:
    # Real folders and files alone: a link to today's is never followed.
    found = sorted((path for path in paths if not path.is_symlink()), key=_changed, reverse=True)
    for path in found[n_kept:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                path.unlink()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
