"""The chart of `trend`: three lines over the newest known interaction, with a mark for each verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

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
    "popularity": {"color": OTHER, "linewidth": 1.5, "linestyle": ":", "marker": "s", "markersize": 3},
    "champion": {"color": INK, "linewidth": 1, "linestyle": "--", "marker": "^", "markersize": 4},
}
WIDTH_IN, HEIGHT_IN = 10.5, 4.0  # of a page twice as wide as the report's figures
NARROW_IN, TICKS_PER_IN = 4.2, 0.76  # on a telephone
FAINT = 0.3
GAP = timedelta(days=366)  # a longer time without a run breaks the line
NAMES = {"popularity": "strongest popularity"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run with a verdict, an error or no change, or a version of which only the manifest exists.

    known_s : time of the newest interaction that the run knew, seconds; None if it is not known
    outcome : PROMOTE, HOLD, REJECT, NOT PROMOTED, UNCHANGED or ERROR
    candidate, popularity, champion : Recall@top_k on that run's own holdout; None if it was not judged
    live : "live", "was live", "rolled back", or empty if the channel never pointed to its version
    report : path of its report, relative to `reports/`; None if it is gone
    sample : whether the reviews were generated ones
    """

    as_of: str
    snapshot: str | None
    outcome: str
    known_s: int | None = None
    top_k: int | None = None
    candidate: float | None = None
    popularity: float | None = None
    baseline: str | None = None
    champion: float | None = None
    model_id: str | None = None
    live: str = ""
    report: str | None = None
    sample: bool = False

    @property
    def known(self) -> datetime:
        """The instant of `known_s`, for points that have one."""
        assert self.known_s is not None
        return datetime.fromtimestamp(self.known_s, UTC)


def trend_plot(judged: Sequence[Point], top_k: int | None, name: str, width_in: float) -> Markup:
    """Recall@K of one K over the newest interaction that each run knew.

    The dates of runs are no axis: a dump that ends in 2018 may be trained on in any later year.

    Parameters
    ----------
    judged : with a candidate and `known_s`, by that, and of one instant the newest run last; one or more
    name : of the figure in its page
    """
    newest = list({point.known_s: point for point in judged}.values())

    def draw(figure: Figure) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        axes: Any = figure.subplots()
        for model, style in LINES.items():
            when, values = line(newest, model)
            if values:
                axes.plot(when, values, label=NAMES.get(model, model), **style)
        _mark(axes, judged, newest)
        axes.set_xlim(*limits(judged))
        locator = AutoDateLocator(minticks=2, maxticks=max(3, round(width_in * TICKS_PER_IN)))
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_ylim(0, max(axes.get_ylim()[1], 1e-3) * 1.06)
        axes.set_ylabel(f"Recall@{top_k}")
        axes.locator_params(axis="y", nbins=5)
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3 if width_in > NARROW_IN else 1, borderaxespad=0)

    return svg(f"trend-{name}", _alt_text(judged, top_k), HEIGHT_IN, draw, width_in=width_in)


def limits(judged: Sequence[Point]) -> tuple[datetime, datetime]:
    """The ends of the time axis."""
    first, last = judged[0].known, judged[-1].known
    margin = max(timedelta(days=7), (last - first) * 0.04)
    return first - margin, last + margin


def line(newest: Sequence[Point], name: str) -> tuple[list[datetime], list[float]]:
    """Coordinates of a model: newest interaction and Recall@K; NaN breaks the line at each gap."""
    when: list[datetime] = []
    values: list[float] = []
    for point in newest:
        value = getattr(point, name)
        if value is None:
            continue
        at = point.known
        if when and at - when[-1] > GAP:
            when.append(when[-1] + (at - when[-1]) / 2)
            values.append(math.nan)
        when.append(at)
        values.append(value)
    return when, values


def _mark(axes: Any, judged: Sequence[Point], newest: Sequence[Point]) -> None:
    """Draw verdicts on the candidate's line, faint for earlier runs on the same data, and a ring at the live one."""
    for point in judged:
        at = [point.known], [point.candidate]
        faint = 1.0 if any(point is each for each in newest) else FAINT
        mark = MARKS.get(point.outcome, OTHER_MARK)
        axes.plot(*at, color=ACCENT, markersize=6, alpha=faint, clip_on=False, **mark)
        if point.live == "live":
            axes.plot(*at, "o", color=INK, markerfacecolor="none", markersize=12, clip_on=False)


def _alt_text(judged: Sequence[Point], top_k: int | None) -> str:
    first, last = judged[0], judged[-1]
    return (
        f"Recall@{top_k} of candidate, strongest popularity and champion over {len(judged)} judged runs; the candidate "
        f"had {first.candidate:.4f} knowing all up to {first.known:%Y-%m-%d}, and {last.candidate:.4f} up to "
        f"{last.known:%Y-%m-%d}. "
        "The table has the figures."
    )
