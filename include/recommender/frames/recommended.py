"""Recommendations and histories as DataFrames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..parameters import MAIN_CHANNEL
from ..registry.registry import Registry
from ..serving import Recommender, Request, Source
from ..serving.history import stored_events
from ..storage.cache import cache_of
from .dtypes import COUNT, FLAG, NUMBER, TEXT, TIME, frame

SOURCE = pd.CategoricalDtype([source.value for source in Source])
LISTS = {"user": TEXT, "rank": COUNT, "item": TEXT, "score": NUMBER, "source": SOURCE}
EVENTS = {"user": TEXT, "item": TEXT, "time": TIME, "rating": NUMBER, "verified": FLAG}


def recommendations(
    registry: Registry,
    users: Sequence[str],
    model: str = MAIN_CHANNEL,
    k: int = 10,
    *,
    cache: Path | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The best items of some users, in the order of the users.

    Parameters
    ----------
    cache : folder for the files of the version; None: RECOMMENDER_CACHE, or the user's cache directory
    options : other fields of `serving.Request`, such as exclude, allow, variety

    Returns
    -------
    One row an item of a list:

    - user : str
    - rank : Int64, 1 for the best
    - item : str
    - score : float64, comparable within one list only
    - source : category known_user, fold_in, prior, item: how the list came about

    Examples
    --------
    >>> recommendations(registry, ["A2SUAM1J3GNN3B"], k=5)
    """
    recommender = _loaded(registry, model, cache)
    answers = recommender.recommend([Request(user=user, k=k, **options) for user in users])
    return frame(
        [
            {"user": user, "rank": rank, "item": row.item, "score": row.score, "source": answer.source.value}
            for user, answer in zip(users, answers, strict=True)
            for rank, row in enumerate(answer.items, 1 + int(options.get("offset", 0)))
        ],
        LISTS,
    )


def interactions(
    registry: Registry, users: Sequence[str], model: str = MAIN_CHANNEL, *, cache: Path | None = None
) -> pd.DataFrame:
    """The stored histories of some users, each newest first; users that the version does not know have no rows.

    Returns
    -------
    One row an interaction:

    - user, item : str
    - time : datetime64[us, UTC]
    - rating : float64, stars
    - verified : boolean, missing where it is not known

    Examples
    --------
    >>> interactions(registry, ["A2SUAM1J3GNN3B"])
    """
    version = _loaded(registry, model, cache).version
    rows = [
        {"user": user, "item": row.item, "time": row.time, "rating": row.rating, "verified": row.verified}
        for user in users
        for row in stored_events(version, user)
    ]
    return frame(rows, EVENTS)


def _loaded(registry: Registry, model: str, cache: Path | None) -> Recommender:
    return Recommender.load(registry, model, cache=cache or cache_of(os.environ))
