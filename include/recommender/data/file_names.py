"""Which files below a folder are review files, by their paths within it: one rule for S3 and for local folders."""

from __future__ import annotations

from collections.abc import Iterable

from ..plain_text import shown

ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
CSV_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
# Written before the first file of a snapshot and deleted after the last: no run reads a snapshot that holds it.
UNFINISHED = "_incomplete"
N_NAMED = 10
CONVERTER = "python -m local.ratings"


def ending(path: str, endings: tuple[str, ...] = ENDINGS) -> str:
    """Return the longest of `endings` that the path has, in the spelling of the path; empty if it has none."""
    found = max((each for each in endings if path.lower().endswith(each)), key=len, default="")
    return path[len(path) - len(found) :]


def left_out(path: str, endings: tuple[str, ...] = ENDINGS) -> str | None:
    """Return why a file is left out, given its path within the folder; None if it is read."""
    if any(part.startswith(("_", ".")) for part in path.split("/")):
        return "names that begin with _ or . belong to jobs and systems"
    if ending(path, CSV_ENDINGS) and not set(CSV_ENDINGS) <= set(endings):
        return f"CSV; {CONVERTER} makes reviews of ratings"
    if ending(path, endings):
        return None
    return f"its name does not end in {', '.join(endings)}"


def left_out_lines(paths: Iterable[str], endings: tuple[str, ...] = ENDINGS) -> list[str]:
    """Return a line for each reason to leave files out, with the first ten files of each."""
    by_reason: dict[str, list[str]] = {}
    for path in sorted(paths):
        by_reason.setdefault(left_out(path, endings) or "", []).append(shown(path))
    return [f"{_listed(names)} ({reason})" for reason, names in sorted(by_reason.items()) if reason]


def _listed(names: list[str]) -> str:
    more = len(names) - N_NAMED
    return ", ".join(names[:N_NAMED]) + (f" and {more:,} more" if more > 0 else "")
