"""From lines to train and holdout: how much of the reviews a version was made from."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ..data.counts import FoldCounts, ParseCounts
from ..errors import DataError
from ..registry.listing import fold_file
from ..registry.locate import manifest_of
from ..registry.registry import Registry
from .dtypes import COUNT, NUMBER, TEXT, frame
from .lineage import Lineage

PART = pd.CategoricalDtype(["parse", "judged fold", "published fold"])
FUNNEL = {"part": PART, "step": TEXT, "n": COUNT, "of": TEXT, "share": NUMBER, "problem": TEXT}
# Step -> the whole that it is a part of.
PARSE_STEPS = {"lines": "lines", "blank": "lines", "bad": "lines", "reviews": "lines"}
FOLD_STEPS = {
    "reviews": "reviews",
    "after_as_of": "reviews",
    "repeated": "reviews",
    "interactions": "reviews",
    "train": "interactions",
    "train_dropped_rare": "interactions",
    "holdout": "interactions",
    "holdout_of_cold_users": "holdout",
    "judged_interactions": "holdout",
}


def data_funnel(registry: Registry, model: str) -> pd.DataFrame:
    """What became of the reviews: lines, reviews, interactions, train and holdout.

    lines = blank + bad + reviews; reviews = after_as_of + repeated + interactions; interactions = train +
    train_dropped_rare + holdout; holdout = holdout_of_cold_users + judged_interactions.

    Parameters
    ----------
    model : a version's id, or a channel

    Returns
    -------
    The same rows for every version:

    - part : category parse, judged fold, published fold; the published fold has no holdout
    - step : str
    - n : Int64, how many; missing where it cannot be read
    - of : str, the step of the same part that it is a part of
    - share : float64, n over that; missing where that is 0
    - problem : str, why n is missing, such as an artifact that was deleted

    Raises
    ------
    NotFound, DataError
        There is no such version, or its manifest is damaged.

    Examples
    --------
    >>> data_funnel(registry, "production").pivot(index="step", columns="part", values="n")
    """
    made = Lineage(registry, manifest_of(registry, model))
    return frame([*_parsed(made), *_folds(made)], FUNNEL)


def _parsed(made: Lineage) -> Iterator[dict[str, object]]:
    try:
        counts = made.artifact("parse_reviews").counted(ParseCounts)
    except DataError as error:
        return _steps("parse", PARSE_STEPS, str(error))
    return _steps("parse", PARSE_STEPS, counts)


def _folds(made: Lineage) -> Iterator[dict[str, object]]:
    try:
        found = fold_file(made.registry, made.manifest)
    except DataError as error:
        yield from _steps("judged fold", FOLD_STEPS, str(error))
        yield from _steps("published fold", FOLD_STEPS, str(error))
    else:
        yield from _steps("judged fold", FOLD_STEPS, found.judged)
        yield from _steps("published fold", FOLD_STEPS, found.published)


def _steps(part: str, steps: dict[str, str], counts: ParseCounts | FoldCounts | str) -> Iterator[dict[str, object]]:
    """Parameters: counts : or why there are none."""
    for step, of in steps.items():
        row = {"part": part, "step": step, "of": of}
        if isinstance(counts, str):
            yield {**row, "problem": counts}
        else:
            n, whole = getattr(counts, step), getattr(counts, of)
            yield {**row, "n": n, "share": n / whole if whole else None}
