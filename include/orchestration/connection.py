"""The Airflow connection to AWS: it must exist, and no setting of it is ignored silently.

Airflow's hook takes the credentials of the machine where the connection is unknown, and no settings where its extra
cannot be read. Here both are errors. A connection with an empty login asks for the machine's credentials by name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from include.recommender.errors import ConfigError
from include.recommender.storage.redaction import printable

VARIABLE = "AIRFLOW_CONN_"
TYPES = frozenset({"aws", ""})
URL = "endpoint_url"


def check_connection(conn_id: str) -> None:
    """Raise ConfigError unless an Airflow connection of type aws has this id, and its extra can be read."""
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigError(_unknown(conn_id, os.environ)) from None
    except (AirflowException, ValueError, TypeError) as error:
        raise unusable(conn_id, error) from None
    problems = _type_problems(found.conn_type) + _extra_problems(found.extra)
    if found.login and not found.password:
        problems.append("login (the access key id) is set, and password (the secret key) is not")
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


def _type_problems(conn_type: str | None) -> list[str]:
    if (conn_type or "") in TYPES:
        return []
    return [f"its type is {printable(conn_type)}, expected aws"]


def _extra_problems(extra: str | None) -> list[str]:
    """The problems of the extra, by name and position, without its values."""
    if not extra:
        return []
    try:
        fields: Any = json.loads(extra)
    except ValueError as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
        return [f"its extra is not JSON ({where}), so region, endpoint and role would be ignored"]
    if not isinstance(fields, dict):
        return ["its extra is not a JSON object, so region, endpoint and role would be ignored"]
    return _url_problems(fields)


def _url_problems(fields: Mapping[str, Any]) -> list[str]:
    services = fields.get("service_config")
    places = {"extra": fields}
    if isinstance(services, dict):
        places |= {f"service_config.{name}": each for name, each in services.items() if isinstance(each, dict)}
    return [f"{URL} of {place} {problem}" for place, each in places.items() if (problem := _url_problem(each.get(URL)))]


def _url_problem(url: object) -> str | None:
    if url in (None, ""):
        return None
    if not isinstance(url, str) or not re.match(r"https?://[^/\s]", url):
        return "is no address; expected http://host:port or https://host:port"
    if "@" in url.split("//", 1)[1].split("/", 1)[0]:
        return "holds a login, which S3 does not have; put the keys into login and password"
    return None
