"""The one mapping from what can go wrong to what Airflow does about it."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException

from include.recommender.errors import TransientError


def to_airflow(error: Exception) -> Exception:
    """TransientError goes on, and Airflow retries the task with backoff; anything else fails it at once.

    A worker that dies (out of memory, machine gone) raises nothing here: Airflow retries that by itself.
    """
    if isinstance(error, TransientError):
        return error
    return AirflowFailException(f"{type(error).__name__}: {error}")
