"""The Airflow connection to AWS: it must exist, and no setting of it is ignored silently.

Airflow's hook takes the credentials of the machine where the connection is unknown, and no settings where its extra
cannot be read. Here both are errors. A connection with an empty login asks for the machine's credentials by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from include.recommender.errors import ConfigError
from include.recommender.storage.aws_connection import connection_problems
from include.recommender.storage.redaction import printable

VARIABLE = "AIRFLOW_CONN_"


def check_connection(conn_id: str) -> None:
    """Raise ConfigError unless an Airflow connection of type aws has this id, and its extra can be read."""
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigError(_unknown(conn_id, os.environ)) from None
    except (AirflowException, ValueError, TypeError) as error:
        raise unusable(conn_id, error) from None
    problems = connection_problems(found.conn_type, found.login, found.password, found.extra)
    if problems:
        raise ConfigError([f"Airflow connection {conn_id}: {problem}" for problem in problems])


def unusable(conn_id: str, error: BaseException) -> ConfigError:
    """The error about an unusable connection, without its values."""
    return ConfigError(
        f"Airflow connection {conn_id} cannot be used ({type(error).__name__}: {printable(error)}). Correct its fields "
        "and its extra; docs/operations.md has examples."
    )


def _unknown(conn_id: str, environment: Mapping[str, str]) -> str:
    own = f"{VARIABLE}{conn_id.upper()}"
    if own in environment:
        return (
            f"{own} is set, and Airflow cannot read it: expected JSON such as "
            '{"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}, or a URI that begins with aws://'
        )
    known = sorted(name.removeprefix(VARIABLE).lower() for name in environment if name.startswith(VARIABLE))
    named = f" The environment defines {', '.join(known)}." if known else ""
    return (
        f"There is no Airflow connection {conn_id} (RECOMMENDER_AWS_CONN_ID, or aws_default without that).{named} "
        f'Add it: airflow connections add {conn_id} --conn-type aws --conn-extra \'{{"region_name": "eu-west-1"}}\'. '
        "With an empty login the role of the machine is used; without the connection nothing is."
    )
