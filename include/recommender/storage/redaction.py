"""Texts of other programs made fit for a message: no login, no signature, no control character, not too long."""

from __future__ import annotations

import re

TEXT_CHARS = 300

_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
# Of presigned URLs, and what else comes as `name=value` with a name that says so.
_VALUES = re.compile(
    r"(?i)\b([\w-]*(?:signature|credential|security-token|accesskeyid|password|passwd|secret|token|apikey|api_key))=[^&\s\"']+"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def printable(text: object) -> str:
    """A text in one line, shortened, without logins in URLs and without the values of signatures and tokens."""
    clean = _CONTROL.sub(" ", str(text)).strip()
    clean = _VALUES.sub(r"\1=***", _LOGIN.sub("***@", clean))
    return clean if len(clean) <= TEXT_CHARS else f"{clean[:TEXT_CHARS]}..."
