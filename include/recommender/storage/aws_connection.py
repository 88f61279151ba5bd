"""The fields of an Airflow connection to AWS, and what is wrong with them. The DAGs and `doctor` both ask here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .redaction import printable

TYPES = frozenset({"aws", ""})
URL = "endpoint_url"


def connection_problems(conn_type: str | None, login: str | None, password: str | None, extra: str | None) -> list[str]:
    """The problems of the fields of a connection, without their values."""
    problems = _type_problems(conn_type) + _extra_problems(extra)
    if login and not password:
        problems.append("login (the access key id) is set, and password (the secret key) is not")
    return problems


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
