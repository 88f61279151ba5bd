"""The chart of `trend`: three lines over as_of, a mark a verdict."""

from __future__ import annotations

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
LINES: dict[str, dict[str, Any]] = {
    "candidate": {"color": ACCENT, "linewidth": 1.5},
    "popularity": {"color": OTHER, "linewidth": 1.5},
    "champion": {"color": MUTED, "linewidth": 1, "linestyle": "--", "marker": ".", "markersize": 4},
}
NAMES = {"popularity": "strongest popularity"}


@dataclass(frozen=True)
class Point:
    """One run that came to a verdict or an error, or a version of which only the manifest is left.

    outcome : PROMOTE, HOLD, REJECT or ERROR
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
    """Recall@K of one K over as_of, and a mark at the foot for each run that ended in an error.

    Parameters
    ----------
    points : by as_of, one or more with a candidate
    """

    def draw(figure: Figure) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        axes: Any = figure.subplots()
        for name, style in LINES.items():
            when, values = _line(points, name)
            if values:
                axes.plot(when, values, label=NAMES.get(name, name), **style)
        _mark(axes, points)
        first, last = instant(points[0].as_of), instant(points[-1].as_of)
        margin = max(timedelta(days=7), (last - first) * 0.04)
        axes.set_xlim(first - margin, last + margin)
        locator = AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"Recall@{top_k}")
        axes.locator_params(axis="y", nbins=5)
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)

    return svg("trend", _spoken(points, top_k), 3.2, draw)


def _line(points: Sequence[Point], name: str) -> tuple[list[datetime], list[float]]:
    there = [point for point in points if getattr(point, name) is not None]
    return [instant(point.as_of) for point in there], [getattr(point, name) for point in there]


def _mark(axes: Any, points: Sequence[Point]) -> None:
    """Verdicts on the candidate's line, a ring around the version that is live, errors at the foot."""
    for point in points:
        when = instant(point.as_of)
        if point.candidate is not None and point.outcome in MARKS:
            axes.plot([when], [point.candidate], color=ACCENT, markersize=5, **MARKS[point.outcome])
        elif point.candidate is None:
            axes.plot([when], [0.02], "x", color=INK, markersize=5, transform=axes.get_xaxis_transform())
        if point.live == "live" and point.candidate is not None:
            axes.plot([when], [point.candidate], "o", color=INK, markerfacecolor="none", markersize=11)
            place = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
            axes.annotate("live", (when, point.candidate), (0, -17), **place)


def _spoken(points: Sequence[Point], top_k: int | None) -> str:
    judged = [point for point in points if point.candidate is not None]
    first, last = judged[0], judged[-1]
    return (
        f"Recall@{top_k} of candidate, strongest popularity and champion over {len(judged)} judged runs; the candidate "
        f"had {first.candidate:.4f} as of {first.as_of[:10]} and {last.candidate:.4f} as of {last.as_of[:10]}. "
        "The table has the figures."
    )
