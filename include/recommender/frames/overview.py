"""All versions of a registry, and two of them side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import pandas as pd

from ..registry import comparison
from ..registry.listing import Summary, pointers, summaries
from ..registry.locate import resolve
from ..registry.registry import Registry
from .dtypes import ANY, COUNT, DECISION, NUMBER, TEXT, TIME, frame, when

log = logging.getLogger(__name__)

VERSIONS = {
    "model_id": TEXT,
    "created_at": TIME,
    "known_until": TIME,
    "as_of": TIME,
    "snapshot": TEXT,
    "decision": DECISION,
    "top_k": COUNT,
    "recall": NUMBER,
    "baseline": TEXT,
    "baseline_recall": NUMBER,
    "relative_lift": NUMBER,
    "size_bytes": COUNT,
    "run": TEXT,
    "channels": TEXT,
    "recommendations": TEXT,
    "problem": TEXT,
}
SECTION = pd.CategoricalDtype(["facts", "metrics", "popularity", "config", "libraries", "items", "warning"])
COMPARISON = {"section": SECTION, "name": TEXT, "a": ANY, "b": ANY, "difference": NUMBER}


def versions(registry: Registry) -> pd.DataFrame:
    """All versions, the newest first by creation.

    A version whose manifest is damaged has a row with its `model_id`, its `channels` and the `problem`.
    A channel that cannot be read is reported in the log.

    Returns
    -------
    One row a version:

    - model_id, snapshot, baseline, run : str; baseline is the strongest popularity
    - created_at, known_until, as_of : datetime64[us, UTC]
    - decision : category PROMOTE, HOLD, REJECT
    - top_k, size_bytes : Int64
    - recall, baseline_recall : float64, Recall@top_k on the holdout of the version's run
    - relative_lift : float64, recall / baseline_recall - 1
    - channels : str, the channels that point to it, separated by ", "; empty where none does
    - recommendations : str, the folders of its finished batches below the root, separated by ", "
    - problem : str, what is wrong with its manifest; missing where nothing is

    Examples
    --------
    >>> table = versions(connect("s3://bucket/prefix"))
    >>> table[table["channels"] != ""].set_index("model_id")["recall"]
    """
    there = pointers(registry)
    for problem in there.problems:
        log.warning("%s", problem)
    return frame((_version(row) for row in summaries(registry, there)), VERSIONS)


def _version(row: Summary) -> dict[str, object]:
    instants = {name: when(getattr(row, name)) for name in ("created_at", "known_until", "as_of")}
    several = {name: ", ".join(getattr(row, name)) for name in ("channels", "recommendations")}
    return {**asdict(row), **instants, "decision": row.verdict, **several}


def compare(registry: Registry, a: str, b: str) -> pd.DataFrame:
    """Two versions side by side; downloads the item vocabularies of both.

    Each version was judged on the holdout of its own run. A row of the section `warning` says why the metrics of
    two versions are not comparable.

    Parameters
    ----------
    a, b : a version's id, or a channel

    Returns
    -------
    One row a fact, a metric, or a setting that differs:

    - section : category facts, metrics, popularity, config, libraries, items, warning
    - name : str; in the section `warning` the text
    - a, b : object, the values of the two versions as they are stored; missing where a version has none
    - difference : float64, b - a, where both are numbers

    Raises
    ------
    NotFound, DataError
        There is no such version, or a file of it is damaged.

    Examples
    --------
    >>> table = compare(registry, "20180831-601fb4513c13", "production")
    >>> table[table["section"] == "metrics"]
    """
    found = comparison.compare(registry, resolve(registry, a), resolve(registry, b))
    return frame(_pairs(found), COMPARISON)


def _pairs(found: comparison.VersionComparison) -> Iterator[dict[str, object]]:
    items = found.items
    sections: dict[str, Mapping[str, comparison.Pair]] = {
        "facts": {"model_id": (found.a, found.b), **found.facts},
        "metrics": found.metrics,
        "popularity": found.popularity,
        "config": found.config,
        "libraries": found.libraries,
        "items": {"all": (items.a, items.b), "in both": (items.both, items.both)},
        "warning": dict.fromkeys(found.warnings, (None, None)),
    }
    for section, pairs in sections.items():
        for name, (a, b) in pairs.items():
            yield {"section": section, "name": name, "a": a, "b": b, "difference": _difference(a, b)}


def _difference(a: object, b: object) -> float | None:
    numbers = [value for value in (a, b) if isinstance(value, int | float) and not isinstance(value, bool)]
    return numbers[1] - numbers[0] if len(numbers) == 2 else None
