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

from .documents import FOR_A_PERSON
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
    said = f"{job} ended: {reason}.{_log_of(event)}"
    if event.get("late"):
        return ConfigError(
            f"{job} was {event['status']} when its time was over, and was ended.{_log_of(event)} RUNNABLE: no machine "
            "of the compute environment has the memory and the CPUs of the job definition, or there was no spot "
            "capacity. RUNNING: take a larger machine, or a smaller model."
        )
    if SPOT_LOSS in reason:
        return TransientError(f"{said} The machine was taken away, more often than Batch tries by itself; try again.")
    if "exceeded timeout" in reason:
        return ConfigError(f"{said} It took longer than the task may. Take a larger machine, or a smaller model.")
    if event.get("stopped"):
        return _stopped(said, adopted=bool(event.get("adopted")))
    return _by_exit(said, reason, event.get("exit_code"))


def _stopped(said: str, *, adopted: bool) -> RecommenderError:
    """A job that somebody ended; one of an earlier try was ended with that try, and not with this one."""
    if adopted:
        return TransientError(f"{said} It was of an earlier try, which somebody ended; try again.")
    return RecommenderError(f"{said} Somebody ended it. Clear the task to submit another.")


def _by_exit(said: str, reason: str, exit_code: int | None) -> RecommenderError:
    if "OutOfMemory" in reason or exit_code == KILLED:
        return ConfigError(
            f"{said} It was killed, as a job is that needs more memory than its definition gives it. Raise that, or "
            "set fewer factors; docs/bigger-machine.md has the arithmetic."
        )
    if "CannotPull" in reason:
        return ConfigError(f"{said} Push the image that the job definition names, or correct the name.")
    if exit_code == FOR_A_PERSON:
        return ConfigError(
            f"{said} It could not store what came of it. Its log says why; most often its role lacks a right on the "
            "bucket (deploy/aws/policies/dag.json)."
        )
    return TransientError(f"{said} Try again.")


def _log_of(event: Mapping[str, Any]) -> str:
    """How to read the log of a job, if there is one."""
    stream, group = event.get("log_stream"), event.get("log_group")
    if not stream:
        return ""
    return f" Its log: aws logs get-log-events --log-group-name {group or '/aws/batch/job'} --log-stream-name {stream}."
