"""What became of a channel over time: its moves, and the Recall@K of its runs."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
import pandas as pd

from ..errors import DataError, NotFound
from ..parameters import MAIN_CHANNEL
from ..registry.moves import Move
from ..registry.registry import Registry
from ..reporting.trend import ERROR, REFUSED, UNCHANGED, read_runs
from ..reporting.trend_plot import Point
from .dtypes import COUNT, DECISION, FLAG, KIND, NUMBER, TEXT, TIME, frame, when

HISTORY = {
    "number": COUNT,
    "moved_at": TIME,
    "kind": KIND,
    "from_model": TEXT,
    "to_model": TEXT,
    "known_until": TIME,
    "decision": DECISION,
    "who": TEXT,
    "why": TEXT,
    "run": TEXT,
}
OUTCOME = pd.CategoricalDtype([*DECISION.categories, REFUSED, UNCHANGED, ERROR])
LIVE = pd.CategoricalDtype(["live", "was live", "rolled back"])
TREND = {
    "known_until": TIME,
    "as_of": TIME,
    "snapshot": TEXT,
    "outcome": OUTCOME,
    "top_k": COUNT,
    "candidate": NUMBER,
    "popularity": NUMBER,
    "baseline": TEXT,
    "champion": NUMBER,
    "model_id": TEXT,
    "live": LIVE,
    "report": TEXT,
    "sample": FLAG,
    "problem": TEXT,
}


def history(registry: Registry, channel: str = MAIN_CHANNEL) -> pd.DataFrame:
    """All moves of a channel, oldest first.

    Returns
    -------
    One row a move:

    - number : Int64, 1 for the first move of the channel; the order of the moves
    - moved_at : datetime64[us, UTC], by the clock of who moved it
    - kind : category promote, rollback, force
    - from_model, to_model : str; from_model is missing in the first move
    - known_until : datetime64[us, UTC], the instant up to which `to_model` knows everything
    - decision : category PROMOTE, HOLD, REJECT: the verdict on `to_model`
    - who, why, run : str

    Raises
    ------
    NotFound
        There is no such channel; the main one may have no move yet.
    DataError
        The pointer, or an entry of the history, is damaged.

    Examples
    --------
    >>> history(registry).query("kind == 'rollback'")[["moved_at", "from_model", "why"]]
    """
    moves = registry.channels.history(channel)
    if not moves and channel != MAIN_CHANNEL:
        raise NotFound(registry.channels.unknown(channel))
    return frame((_move(move) for move in moves), HISTORY)


def _move(move: Move) -> dict[str, object]:
    changed = {"moved_at": when(move.moved_at), "known_until": move.known_until, "decision": move.verdict}
    return {**msgspec.structs.asdict(move), **changed}


def trend(registry: Registry, channel: str = MAIN_CHANNEL) -> pd.DataFrame:
    """Recall@K of a channel's runs, by what they knew: the newest reports, and versions whose reports are gone.

    Each value is from the holdout of its own run. A report or a manifest that cannot be read is a row with the
    `problem`, at the end.

    Returns
    -------
    One row a run:

    - known_until : datetime64[us, UTC], time of the newest interaction that the run knew
    - as_of : datetime64[us, UTC]
    - snapshot, baseline, report : str; baseline is the strongest popularity, report is relative to `reports/`
    - outcome : category PROMOTE, HOLD, REJECT, NOT PROMOTED, UNCHANGED, ERROR
    - top_k : Int64
    - candidate, popularity, champion : float64, Recall@top_k; missing where it was not judged
    - model_id : str, the version that was published; missing where none was
    - live : category live, was live, rolled back; missing where the channel never pointed to the version
    - sample : boolean, whether the reviews were generated
    - problem : str, why a report or a manifest cannot be read

    Raises
    ------
    DataError
        The channel's pointer or history is damaged.

    Examples
    --------
    >>> trend(registry).dropna(subset="candidate").plot(x="known_until", y=["candidate", "popularity"])
    """
    runs = read_runs(registry.objects, channel)
    rows = [_point(point) for point in runs.points]
    rows += [{"report": f"{name}/report.json", "problem": why} for name, why in runs.unreadable.items()]
    return frame([*rows, *_damaged(registry, channel, {point.model_id for point in runs.points})], TREND)


def _point(point: Point) -> dict[str, object]:
    return {**asdict(point), "known_until": when(point.known_s), "as_of": when(point.as_of), "live": point.live or None}


def _damaged(registry: Registry, channel: str, shown: set[str | None]) -> list[dict[str, object]]:
    """Versions of the channel that have no report, and a manifest that cannot be read."""
    names = dict.fromkeys(move.to_model for move in registry.channels.history(channel))
    found = registry.manifests(name for name in names if name not in shown)
    return [{"model_id": name, "problem": str(body)} for name, body in found.items() if isinstance(body, DataError)]
