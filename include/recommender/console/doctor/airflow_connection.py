"""The DAGs' connection to AWS: whether it can be used, and whether its credentials are those of the other checks."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ...storage.aws_connection import connection_problems
from ...storage.redaction import printable
from .airflow_answers import Connection
from .findings import DoctorFinding, failed, fine, warning
from .reach import access_key, key_source

OWN_KEYS = frozenset({"env", "explicit", "shared-credentials-file", "config-file", "custom-process"})
SAME = "the same credentials: the rights above are those of doctor's"


def read_variable(text: str) -> Connection:
    """A variable AIRFLOW_CONN_<ID>, JSON or a URI aws://. Raises ValueError (MsgspecError among them)."""
    if not text.startswith("aws://"):
        return msgspec.json.decode(text, type=Connection)
    parts = urlsplit(text)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    extra = query.get("__extra__", json.dumps(query) if query else None)
    return Connection("aws", unquote(parts.username or ""), unquote(parts.password or ""), extra)


def judge(name: str, found: Connection, add: str) -> DoctorFinding:
    """As the DAGs judge it before they use it; then against the credentials that doctor used."""
    extra = found.extra if isinstance(found.extra, str | None) else json.dumps(found.extra)
    problems = connection_problems(found.conn_type, found.login, found.password, extra)
    if problems:
        seen = "\n".join(f"the connection {name}: {problem}" for problem in problems)
        return failed(seen, "a connection of type aws that the DAGs can use", f"Correct it, or delete it and: {add}")
    role = json.loads(extra).get("role_arn") if extra else None
    if role:
        return warning(
            f"the connection {name} assumes the role {printable(role)}",
            SAME,
            "Run doctor with the credentials of that role: aws sts assume-role, or a profile with role_arn.",
        )
    return _same_key(name, found.login or "")


def _same_key(name: str, login: str) -> DoctorFinding:
    """The checks of the store went with boto3's key; the DAG has that of the connection."""
    ours = access_key()
    if login and login != ours:
        return warning(
            f"the connection {name} has another access key (...{login[-4:]}) than doctor (...{ours[-4:]})",
            SAME,
            "Run doctor with the connection's keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if not login and key_source() in OWN_KEYS:
        return warning(
            f"the connection {name} has no login, and doctor used the access key ...{ours[-4:]} from {key_source()}",
            f"{SAME}. The DAGs take those that the worker's machine or environment has",
            "Run doctor in the worker's environment, without AWS_ACCESS_KEY_ID of its own; "
            "or put the key into the connection.",
        )
    return fine(f"{name}, {'with the key that doctor used' if login else 'with the role of the machine'}")
