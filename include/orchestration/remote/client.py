"""The client of AWS Batch, with the credentials of the Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.recommender.errors import ConfigError

if TYPE_CHECKING:
    from .jobs import Jobs


def jobs_of(aws_conn_id: str) -> Jobs:
    """AWS Batch through a connection. Raises ConfigError if the connection is not usable."""
    from airflow.providers.amazon.aws.hooks.batch_client import BatchClientHook

    from ..settings import client_of
    from .jobs import Jobs

    jobs = Jobs(client_of(BatchClientHook, aws_conn_id))
    extra = BatchClientHook(aws_conn_id=aws_conn_id).conn_config.extra_config
    if extra.get("endpoint_url") and "batch" not in extra.get("service_config", {}):
        raise ConfigError(
            f"RECOMMENDER_AWS_BATCH is set, and the Airflow connection {aws_conn_id} has an endpoint_url, which would "
            "get the calls to AWS Batch too. Put the address of the store into service_config.s3.endpoint_url of its "
            "extra, or leave RECOMMENDER_AWS_BATCH out."
        )
    return jobs
