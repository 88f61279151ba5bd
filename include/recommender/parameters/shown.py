"""Values in messages, shortened."""

from __future__ import annotations

from typing import Any

SHOWN_CHARS = 40


def shown_value(value: Any) -> str:
    """Any value for a message, shortened if it is long."""
    if isinstance(value, int) and abs(value) >= 10**SHOWN_CHARS:
        return f"a whole number of about 2^{value.bit_length()}"  # Python refuses to write thousands of digits
    if isinstance(value, str):
        return repr(value) if len(value) <= SHOWN_CHARS else f"{value[:SHOWN_CHARS]!r}... ({len(value):,} characters)"
    if isinstance(value, (list, tuple)):
        nested = (list, tuple, dict)
        first = ", ".join("..." if isinstance(each, nested) else shown_value(each) for each in value[:3])
        return f"[{first}]" if len(value) <= 3 else f"[{first}, ...] ({len(value):,} values)"
    text = repr(value) if not isinstance(value, dict) else f"an object of {len(value)} keys"
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
