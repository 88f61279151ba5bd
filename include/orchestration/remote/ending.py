"""What the end of a job means for its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.recommender.errors import (
    ConfigError,
    DataError,
    GateRejected,
    NotFound,
    PreconditionFailed,
    RecommenderError,
    TransientError,
)
from include.recommender.runs.journal import TaskError

from .jobs import SPOT_LOSS

KILLED = 137  # 128 + SIGKILL
_KINDS = (DataError, NotFound, ConfigError, TransientError, PreconditionFailed, GateRejected)
KINDS = {kind.__name__: kind for kind in _KINDS}


def outcome_error(error: TaskError) -> RecommenderError:
    """The error that a job ended with; one that this library does not raise is never retried."""
    kind = KINDS.get(error.kind)
    return kind(error.message) if kind else RecommenderError(f"{error.kind}: {error.message}")


def without_outcome(event: Mapping[str, Any], place: str) -> RecommenderError:
    """The error of a job that ended before it could store what came of it.

    Parameters
    ----------
    event : of `JobTrigger`
    """
    job = f"Job {event['job_id']} in {place}"
    if event.get("error"):
        return RecommenderError(f"{job}: {event['error']}")
    reason = "; ".join(filter(None, [event.get("reason"), event.get("container_reason")])) or "no reason given"
    where = f" Its log: `aws logs tail` with the stream {event['log_stream']}." if event.get("log_stream") else ""
    said = f"{job} ended: {reason}.{where}"
    if event.get("late"):
        return ConfigError(
            f"{job} was {event['status']} when its time was over, and was ended.{where} RUNNABLE: no machine of the "
            "compute environment has the memory and the CPUs of the job definition, or there was no spot capacity. "
            "RUNNING: take a larger machine, or a smaller model."
        )
    if SPOT_LOSS in reason:
        return TransientError(f"{said} The machine was taken away, more often than Batch tries by itself; try again.")
    if "OutOfMemory" in reason or event.get("exit_code") == KILLED:
        return ConfigError(
            f"{said} It was killed: it needs more memory than the job definition gives it. Raise that, or set fewer "
            "factors; docs/bigger-machine.md has the arithmetic."
        )
    if "CannotPull" in reason:
        return ConfigError(f"{said} Push the image that the job definition names, or correct the name.")
    if event.get("stopped"):
        return RecommenderError(f"{said} Somebody ended it. Clear the task to submit another.")
    return TransientError(f"{said} Try again.")
