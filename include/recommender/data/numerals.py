"""Numbers as they are written: one rule for JSON numbers, numbers as text, and the cells of a table.

The spelling is checked, since a decoded number no longer shows it: 1.5001e+09 and 1500100000 are the same float, and
only the second still has its seconds.
"""

from __future__ import annotations

import re

# Amazon was founded in 1994; nothing can have been reviewed before, and 2100 is a unit mistaken.
EARLIEST_S, LATEST_S = 757_382_400, 4_102_444_800
MAX_RATING = 5
# The grammar of JSON: no sign +, no leading zeros, no blanks, no _, ASCII digits only.
_NUMERAL = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.[0-9]+)?([eE][+-]?[0-9]+)?")
# More digits than any time has. Python refuses to read thousands of them.
_MAX_DIGITS = 20


class Unusable(ValueError):
    """A line that cannot become an interaction; the text is the reason, the same for all lines like it."""


def seconds(spelling: str, name: str) -> int:
    """Return a time, given in seconds or milliseconds, in whole seconds since 1970 UTC; fractions are truncated.

    Parameters
    ----------
    name : of the field, for the reason

    Raises
    ------
    Unusable
        It is no number, it is written with an exponent, or it lies outside 1994 to 2100 in either unit.
    """
    whole, exponent = _parts(spelling, name)
    if exponent:
        raise Unusable(f"{name} is not a time to the second: with this exponent its seconds are lost")
    value = int(whole) if len(whole) <= _MAX_DIGITS else 0
    # The two ranges do not overlap, so the unit is certain whatever the layout.
    if value >= EARLIEST_S * 1000:
        value //= 1000
    if not EARLIEST_S <= value < LATEST_S:
        raise Unusable(f"{name} is not a time between 1994 and 2100 in seconds or milliseconds")
    return value


def rating(spelling: str, name: str) -> float:
    """A rating from 0 to 5. An exponent loses nothing here: 4.5e+00 is 4.5.

    Raises
    ------
    Unusable
        It is no number, or outside these bounds.
    """
    _parts(spelling, name)
    value = float(spelling)
    if not 0 <= value <= MAX_RATING:
        raise Unusable(f"{name} is not between 0 and {MAX_RATING}")
    return value + 0.0  # -0.0 becomes 0.0: equal values are equal bytes


def _parts(spelling: str, name: str) -> tuple[str, str | None]:
    """The part before the decimal point, and the exponent."""
    found = _NUMERAL.fullmatch(spelling)
    if found is None:
        raise Unusable(f"{name} is not a number")
    return found[1], found[2]
