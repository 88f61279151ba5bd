"""Running the body of a task, and its record in the journal: the same in a task of Airflow and in a job elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from include.recommender.runs.journal import Journal, TaskError, TaskRecord
from include.recommender.stages.workspace import peak_bytes

from .run import Run

log = logging.getLogger(__name__)

Output = TypeVar("Output")
Ended = Callable[[TaskRecord, BaseException], TaskRecord]


def failed(record: TaskRecord, error: BaseException) -> TaskRecord:
    """The record of a task that failed."""
    message = str(error) or "it was interrupted"
    return replace(record, state="failed", error=TaskError(type(error).__name__, message))


def recorded(run: Run, journal: Journal, body: Callable[[Run], Output], ended: Ended = failed) -> Output:
    """Run a body; always write its record, also if it raises. `run.record` is then the record as it was written.

    Parameters
    ----------
    ended : the record of a body that raised
    """
    started = time.monotonic()
    try:
        result = body(run)
    except BaseException as error:
        run.record = _timed(ended(run.record, error), started)
        _write_quietly(journal, run.record)
        raise
    run.record = _timed(replace(run.record, state="success"), started)
    journal.write(run.record)
    return result


def _write_quietly(journal: Journal, record: TaskRecord) -> None:
    """Write the record; an error of the journal must not hide the original error."""
    try:
        journal.write(record)
    except Exception:  # the original error is raised
        log.exception("The record of %s could not be written", record.task)


def _timed(record: TaskRecord, started: float) -> TaskRecord:
    """With time and memory, unless it has those of a job."""
    if record.seconds:
        return record
    return replace(record, seconds=time.monotonic() - started, peak_bytes=peak_bytes())
