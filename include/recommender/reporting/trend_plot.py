"""The chart of `trend`: three lines over as_of, a mark a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..registry.moves import instant
from .plots import ACCENT, INK, MUTED, OTHER, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS: dict[str, dict[str, Any]] = {
    "PROMOTE": {"marker": "o", "markerfacecolor": ACCENT},
    "HOLD": {"marker": "o", "markerfacecolor": "none"},
    "REJECT": {"marker": "x"},
}
OTHER_MARK = {"marker": "."}  # judged, and refused by a person or stopped by an error after that
LINES: dict[str, dict[str, Any]] = {
    "candidate": {"color": ACCENT, "linewidth": 1.5},
    "popularity": {"color": OTHER, "linewidth": 1.5, "marker": ".", "markersize": 5},
    "champion": {"color": MUTED, "linewidth": 1, "linestyle": "--", "marker": ".", "markersize": 4},
}
WIDTH_IN, HEIGHT_IN = 10.5, 4.0  # of a page twice as wide as the report's figures
FAINT = 0.3
GAP = timedelta(days=366)  # what happened in a longer time without a run, nobody knows
NAMES = {"popularity": "strongest popularity"}


@dataclass(frozen=True)
class Point:
    """One run that came to a verdict or an error, or a version of which only the manifest is left.

    outcome : PROMOTE, HOLD, REJECT, NOT PROMOTED or ERROR
    candidate, popularity, champion : Recall@top_k on that run's own holdout; None where it was not judged
    live : "live", "was live", "rolled back", or empty where the channel never pointed to its version
    report : path of its report, relative to `reports/`; None where it is gone
    """

    as_of: str
    snapshot: str | None
    outcome: str
    top_k: int | None
    candidate: float | None
    popularity: float | None
    opponent: str | None
    champion: float | None
    model_id: str | None
    live: str = ""
    report: str | None = None


def trend_plot(points: Sequence[Point], top_k: int | None) -> Markup:
    """Recall@K of one K over as_of. What was not judged is not drawn: its as_of may be anything.

    Parameters
    ----------
    points : by as_of, and of one as_of the newest run last; one or more with a candidate
    """
    judged = [point for point in points if point.candidate is not None]
    newest = list({instant(point.as_of): point for point in judged}.values())

    def draw(figure: Figure) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        axes: Any = figure.subplots()
        for name, style in LINES.items():
            when, values = line(newest, name)
            if values:
                axes.plot(when, values, label=NAMES.get(name, name), **style)
        _mark(axes, judged, newest)
        axes.set_xlim(*limits(judged))
        locator = AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_ylim(0, max(axes.get_ylim()[1], 1e-3) * 1.06)
        axes.set_ylabel(f"Recall@{top_k}")
        axes.locator_params(axis="y", nbins=5)
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)

    return svg("trend", _spoken(judged, top_k), HEIGHT_IN, draw, width_in=WIDTH_IN)


def limits(judged: Sequence[Point]) -> tuple[datetime, datetime]:
    """The ends of the time axis."""
    first, last = instant(judged[0].as_of), instant(judged[-1].as_of)
    margin = max(timedelta(days=7), (last - first) * 0.04)
    return first - margin, last + margin


def line(newest: Sequence[Point], name: str) -> tuple[list[datetime], list[float]]:
    """Where a contestant was judged: as_of and Recall@K, one value an as_of; NaN breaks the line at each gap."""
    when: list[datetime] = []
    values: list[float] = []
    for point in newest:
        value, at = getattr(point, name), instant(point.as_of)
        if value is None:
            continue
        if when and at - when[-1] > GAP:
            when.append(when[-1] + (at - when[-1]) / 2)
            values.append(math.nan)
        when.append(at)
        values.append(value)
    return when, values


def _mark(axes: Any, judged: Sequence[Point], newest: Sequence[Point]) -> None:
    """Verdicts on the candidate's line, those of earlier runs of one as_of faint; a ring around what is live."""
    for point in judged:
        at = [instant(point.as_of)], [point.candidate]
        faint = 1.0 if any(point is each for each in newest) else FAINT
        mark = MARKS.get(point.outcome, OTHER_MARK)
        axes.plot(*at, color=ACCENT, markersize=6, alpha=faint, clip_on=False, **mark)
        if point.live == "live":
            axes.plot(*at, "o", color=INK, markerfacecolor="none", markersize=12, clip_on=False)


def _spoken(judged: Sequence[Point], top_k: int | None) -> str:
    first, last = judged[0], judged[-1]
    return (
        f"Recall@{top_k} of candidate, strongest popularity and champion over {len(judged)} judged runs; the candidate "
        f"had {first.candidate:.4f} as of {first.as_of[:10]} and {last.candidate:.4f} as of {last.as_of[:10]}. "
        "The table has the figures."
    )
