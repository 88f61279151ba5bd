"""Untrusted names: which may become part of a path on disk or of a key."""

from __future__ import annotations

import unicodedata

MAX_BYTES = 255  # of a name, on every common file system
# Control characters, halves of surrogate pairs, and separators of lines: no file system, terminal or page needs them.
REFUSED_KINDS = frozenset({"Cc", "Cs", "Zl", "Zp"})


def name_problem(name: object) -> str | None:
    """Return why a value is not a plain name, one that stays within its folder; None if it is.

    Plain is text of at most 255 bytes without `/`, `\\`, `:`, control characters or a leading dot.
    """
    if not isinstance(name, str):
        return f"expected text, got {type(name).__name__}"
    if not name:
        return "is empty"
    strange = sorted({char for char in name if unicodedata.category(char) in REFUSED_KINDS})
    if strange:
        return f"holds the control character {strange[0]!a}"
    if name.startswith("."):
        return "begins with a dot"
    separator = next((char for char in "/\\:" if char in name), None)
    if separator:
        return f"holds {separator!r}"
    if len(name.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    return None


def plain_name(name: str) -> str:
    """Return the name. Raises ValueError with the reason if it is not plain."""
    problem = name_problem(name)
    if problem:
        raise ValueError(f"the name {ascii(name)[:80]} {problem}; expected a plain file name")
    return name
