"""JSON documents of the registry with their own digest: manifests, moves, tombstones.

The digest covers everything else in the document. So a flipped bit, an edited field or a value of another type is
refused when the document is read.
"""

from __future__ import annotations

import json
from typing import Annotated, TypeVar

import msgspec

from ..errors import DataError
from ..storage.artifacts import canonical_hash
from ..storage.documents import Origin, checked, parse_json, plain

DIGEST = "digest"

# The name of a version, a channel or a file, which becomes part of a key and of a path on disk.
PLAIN = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"
Plain = Annotated[str, msgspec.Meta(pattern=PLAIN)]

Document = TypeVar("Document", bound=msgspec.Struct)


def write_document(document: msgspec.Struct) -> bytes:
    """JSON of a document and its digest; the same document gives the same bytes. Raises DataError on NaN."""
    body = plain(document)
    try:
        return json.dumps({**body, DIGEST: canonical_hash(body)}, indent=1, sort_keys=True, allow_nan=False).encode()
    except ValueError as error:
        raise DataError(f"{type(document).__name__}: holds a number that JSON cannot keep ({error})") from error


def read_document(raw: bytes, kind: type[Document], where: str, fix: str) -> Document:
    """Parse and check the output of `write_document`.

    Parameters
    ----------
    where : URI, for the message
    fix : what to do if it is damaged

    Raises
    ------
    DataError
        It is not JSON, a field is unknown, missing or wrong, or the digest does not match.
    """
    origin = Origin(where, f"a {kind.__name__.lower()}", fix)
    body = parse_json(raw, f"{where}: not {origin.what}", fix)
    if not isinstance(body, dict):
        raise origin.refusal(["expected a JSON object"])
    claimed, found = body.pop(DIGEST, None), canonical_hash(body)
    problem = _format_problem(body.get("format"), kind)
    if problem:
        raise origin.refusal([problem])
    document = checked(body, kind, origin)
    if claimed != found:
        raise DataError(
            f"{where}: not {origin.what} as it was written: its digest is {claimed!r}, its content has {found}. "
            f"Something changed it afterwards. {fix}"
        )
    return document


def _format_problem(found: object, kind: type[msgspec.Struct]) -> str | None:
    """Return the problem of a document with another format; a damaged document has another message."""
    expected = next((field.default for field in msgspec.structs.fields(kind) if field.name == "format"), found)
    if isinstance(found, int) and found != expected:
        return f"format {found}, this code reads format {expected}; use the version of the project that wrote it"
    return None
