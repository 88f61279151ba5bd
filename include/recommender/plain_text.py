"""Text from files, keys and users made safe to print: nothing in it can move the cursor or reorder a line."""

from __future__ import annotations

_LETTERS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str) -> str:
    """The text on one line, with every unprintable character as an escape: `\\x1b`, `\\u202e`, `\\n`.

    Controls, bidirectional and other invisible marks, odd blanks, line separators and bytes that are no UTF-8
    (in file names) are unprintable. Applied twice it gives the same.
    """
    return text if text.isprintable() else "".join(map(_escape, text))


def shown_lines(text: str) -> str:
    """The same for text of several lines: line feeds stay, and each line is made safe. For a whole message."""
    return "\n".join(map(shown, text.split("\n")))


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python's file names carry it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return _LETTERS.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
