"""The client of AWS Batch, with the credentials of the Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .jobs import Jobs


def jobs_of(aws_conn_id: str) -> Jobs:
    """AWS Batch through a connection. Raises ConfigError if the connection is not usable."""
    from airflow.providers.amazon.aws.hooks.batch_client import BatchClientHook

    from ..settings import client_of
    from .jobs import Jobs

    return Jobs(client_of(BatchClientHook, aws_conn_id))
