"""Whom the models of a version serve, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from ..evaluation.judgement import Judgement, Judgements, UserRow
from ..registry.locate import manifest_of
from ..registry.registry import Registry
from ..storage.artifacts import REMEDY
from ..storage.documents import Origin, decode
from .dtypes import COUNT, NUMBER, TEXT, frame
from .lineage import Lineage

HISTORY, POPULARITY = "train interactions of the user", "popularity of the item"
SLICES = {
    "model": TEXT,
    "slicing": TEXT,
    "label": TEXT,
    "users": COUNT,
    "items": COUNT,
    "held_out": COUNT,
    "recall": NUMBER,
    "shown": NUMBER,
}


def slices(registry: Registry, model: str) -> pd.DataFrame:
    """Recall at the gate's K by kind of user and by popularity of the item, of every model that was judged.

    It is read from the artifact of `evaluate`, which a person may have deleted.

    Parameters
    ----------
    model : a version's id, or a channel; also of a version that was retired

    Returns
    -------
    One row a model, a slicing and a group:

    - model, slicing, label : str
    - users : Int64, judged users in the group; missing for groups of items
    - items, held_out : Int64, items in the group, and their held-out interactions; missing for groups of users
    - recall : float64, mean over the users of the group; for items the share of their held-out interactions
    - shown : float64, share of all that was recommended; missing for groups of users

    Raises
    ------
    NotFound, DataError
        There is no such version, or its artifact is gone or damaged.

    Examples
    --------
    >>> table = slices(registry, "production").query("model == 'candidate'")
    >>> table.groupby("slicing")["users"].sum()
    """
    made = Lineage(registry, manifest_of(registry, model))
    artifact = made.artifact("evaluate")
    raw = made.store.read_file(artifact, "judged.json")
    found = decode(raw, Judgements, Origin(f"{artifact.uri}/judged.json", "what evaluate writes", REMEDY))
    return frame((row for name, judged in found.models.items() for row in _groups(name, judged)), SLICES)


def _groups(model: str, judged: Judgement) -> Iterator[dict[str, object]]:
    labels = _brackets([each.at_least for each in judged.by_history])
    by_history = [UserRow(label, row.users, row.recall) for label, row in zip(labels, judged.by_history, strict=True)]
    for slicing, rows in {HISTORY: by_history, **judged.slices}.items():
        for row in rows:
            yield {"model": model, "slicing": slicing, "label": row.label, "users": row.users, "recall": row.recall}
    for item in judged.by_popularity:
        numbers = {"items": item.items, "held_out": item.held_out, "recall": item.recall, "shown": item.shown}
        yield {"model": model, "slicing": POPULARITY, "label": item.label, **numbers}


def _brackets(edges: list[int]) -> list[str]:
    """Such as 1, 2 to 4, 5 or more, of 1, 2 and 5."""
    closed = [str(low) if low + 1 == after else f"{low} to {after - 1}" for low, after in pairwise(edges)]
    return [*closed, *(f"{low} or more" for low in edges[-1:])]
