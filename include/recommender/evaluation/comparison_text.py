"""The comparison of a candidate as text that follows from the numbers alone.

The text is "better" or "worse" only if the interval excludes 0; otherwise it is "above" or "below".
"""

from __future__ import annotations


def version(name: str) -> str:
    """The name of a reference: the champion, or `earlier_2`, the second newest version that was live before it."""
    return "the champion" if name == "champion" else f"the best recent version ({name})"


def against_popularity(baseline: str, lift: float | None, level: float) -> str:
    """The text for a candidate whose interval lies above 0."""
    by = ", which has no hit," if lift is None else f" by {lift:.1%}"
    return f"better than {baseline}{by} at {100 * level:g}% confidence"


def against_reference(name: str, recall: float, mean: float, low: float, high: float) -> str:
    """The text for a candidate that is at most the tolerance below the reference.

    Parameters
    ----------
    recall : of the reference
    mean, low, high : of the candidate minus the reference
    """
    who = version(name)
    if not recall:
        return f"{who} has no hit"
    share = f"{abs(mean) / recall:.1%}"
    if low > 0:
        return f"{share} better than {who}"
    if mean == 0:
        return f"as good as {who}"
    if mean > 0:
        return f"{share} above {who}, not distinguishable from it"
    text = f"{share} below {who}, within tolerance"
    return text if high < 0 else f"{text}, not distinguishable from it"
