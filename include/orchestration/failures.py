"""The mapping from our errors to those of Airflow."""

from __future__ import annotations

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowFailException

from include.recommender.errors import GateRejected, TransientError


class ResultReached(SystemExit):
    """A result that ends the run: HOLD, REJECT, or a rejection by a person.

    Airflow logs any other exception of a task with its stack trace, as a crash. A task that exits gets one line.
    """


# By default Airflow retries a SystemExit.
RESULTS_ARE_FINAL = ExceptionRetryPolicy(
    [RetryRule(ResultReached, RetryAction.FAIL, reason="this is a result: another try would find the same")]
)


def to_airflow(error: Exception) -> BaseException:
    """Return the error to raise: Airflow retries a TransientError with backoff, others fail the task at once.

    A worker that dies (out of memory, machine gone) raises nothing here: Airflow retries that by itself.
    """
    if isinstance(error, TransientError):
        return error
    if isinstance(error, GateRejected):
        return ResultReached(str(error).partition("\n")[0])
    return AirflowFailException(f"{type(error).__name__}: {error}")
