"""Clean texts of other programs for a message: no login, no signature, no control character, limited length."""

from __future__ import annotations

import re

TEXT_CHARS = 300
MOST_READ = 8 * TEXT_CHARS

_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
# Of presigned URLs, and what else comes as `name=value` with a name that says so.
_VALUES = re.compile(
    r"(?i)\b([\w-]{0,64}(?:signature|credential|security-token|accesskeyid|password|passwd|secret|token|apikey|api_key))=[^&\s\"']+"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def printable(text: object) -> str:
    """Return a text in one line, shortened, without logins in URLs and values of signatures and tokens."""
    # Cut first: the text may be a whole page. A value that is cut in half is still hidden, by the name before it.
    clean = _CONTROL.sub(" ", str(text)[:MOST_READ]).strip()
    clean = _VALUES.sub(r"\1=***", _LOGIN.sub("***@", clean))
    return clean if len(clean) <= TEXT_CHARS else f"{clean[:TEXT_CHARS]}..."
