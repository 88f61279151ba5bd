"""Plots as inline SVG with the colours of the page, also in dark mode. The same input gives the same bytes."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Stand-ins that matplotlib writes into the SVG, and the variables of the style sheet that replace them.
INK, MUTED, LINE, ACCENT, OTHER, CARD = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
ALS, BLEND, KNN = "#070707", "#080808", "#090909"
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", ACCENT: "--accent", OTHER: "--other", CARD: "--card"}
_VARIABLES |= {ALS: "--als", BLEND: "--blend", KNN: "--knn"}
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.family": ["sans-serif"],
    "font.size": 9,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
}
WIDTH_IN = 4.9
WIDE_IN = 10.1  # of a single one: its type is as large as that of two side by side
ROOM = 0.06  # of an axis, beyond what is drawn


@dataclass(frozen=True, kw_only=True)
class Whisker:
    """A value with its interval; `strong` marks the important ones."""

    label: str
    mean: float
    low: float
    high: float
    strong: bool = False


def whiskers(name: str, alt: str, rows: Sequence[Whisker], unit: str, *, zero: bool, strong: str = ACCENT) -> Markup:
    """Dots with whiskers, one line each, the first on top; `zero` draws the line that a difference must not cross.

    Parameters
    ----------
    strong : colour of the strong ones, which also have a diamond: ACCENT where they are the candidate
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour, mark = (strong, "D") if row.strong else (MUTED, "o")
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([row.mean], [place], mark, color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(unit)
        axes.set_xlim(*reach(rows, zero=zero))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        if zero:
            axes.axvline(0, color=INK, linewidth=1)

    return svg(name, alt, 0.7 + 0.3 * len(rows), draw)


def reach(rows: Sequence[Whisker], *, zero: bool) -> tuple[float, float]:
    """The ends of the axis: all intervals, and 0 if `zero`, with a margin on both sides."""
    there = [0.0] if zero else []
    low, high = min([*there, *(row.low for row in rows)]), max([*there, *(row.high for row in rows)])
    room = ROOM * (high - low) or 1e-3
    return low - room, high + room


def bars(
    name: str,
    alt: str,
    labels: Sequence[str],
    panels: Sequence[tuple[str, Sequence[float], int]],
    *,
    width_in: float = WIDTH_IN,
) -> Markup:
    """Horizontal bars with their values, the first label on top.

    Parameters
    ----------
    panels : caption, values and decimals of one quantity each, side by side
    """

    def draw(figure: Figure) -> None:
        for axes, (caption, values, digits) in zip(_row_of_axes(figure, len(panels)), panels, strict=True):
            axes.barh(range(len(values)), values, color=MUTED, height=0.62)
            axes.set_yticks(range(len(labels)), labels)
            axes.set_ylim(len(labels) - 0.5, -0.5)
            axes.set_xlim(0, 1.3 * max([*values, 1e-9]))
            axes.set_xticks([])
            axes.tick_params(axis="y", length=0)
            axes.spines["bottom"].set_visible(False)
            axes.set_title(caption)
            for place, value in enumerate(values):
                label = f"{value:,.{digits}f}"
                axes.annotate(label, (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8)

    return svg(name, alt, 0.45 + 0.24 * len(labels), draw, width_in=width_in)


def grouped(
    name: str,
    alt: str,
    labels: Sequence[str],
    groups: Sequence[tuple[str, Sequence[float]]],
    *,
    width_in: float = WIDTH_IN,
) -> Markup:
    """One or two groups of vertical bars, side by side at each label."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (caption, values) in enumerate(groups):
            places = [place + 0.4 * (number - (len(groups) - 1) / 2) for place in range(len(values))]
            hatch = (None, "////")[number]  # so that the two differ without their colours
            colour = (ACCENT, OTHER)[number]
            axes.bar(places, values, width=0.38, color=colour, edgecolor=CARD, hatch=hatch, linewidth=0, label=caption)
        axes.set_xticks(range(len(labels)), labels)
        axes.tick_params(axis="x", length=0)
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.locator_params(axis="y", nbins=4)
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

    return svg(name, alt, 2.6, draw, width_in=width_in)


Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Points of one kind, those of them that are far from the best drawn faintly."""

    label: str
    colour: str
    marker: str
    near: Sequence[Point]
    far: Sequence[Point]


def cloud(
    name: str,
    alt: str,
    groups: Sequence[Group],
    *,
    line: Sequence[Point],
    marked: Sequence[Point],
    units: tuple[str, str],
) -> Markup:
    """Points in a plane, a line of steps through the outermost of them, and the chosen one marked.

    Parameters
    ----------
    units : of both axes, x first
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        # Its points begin at the largest x. Down to the next one, the largest y stays the same.
        axes.plot(*_columns(line), color=MUTED, linewidth=1, drawstyle="steps-post", label="no other has more of both")
        for group in groups:
            look: dict[str, Any] = {"color": group.colour, "markeredgewidth": 0, "markersize": 4.5}
            axes.plot(*_columns(group.far), group.marker, alpha=0.25, **look)
            axes.plot(*_columns(group.near), group.marker, alpha=0.85, **look)
            axes.plot([], [], group.marker, label=group.label, **look | {"markersize": 6})
        axes.plot(*_columns(marked), "D", color=ACCENT, markeredgecolor=INK, markersize=9, label="chosen")
        axes.set_xlabel(units[0])
        axes.set_ylabel(units[1])
        axes.locator_params(nbins=6)
        axes.grid()
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(groups) + 2, borderaxespad=0)

    return svg(name, alt, 3.4, draw, width_in=WIDE_IN)


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


_LOSS: dict[str, Any] = {"color": ACCENT, "markersize": 3.5, "linewidth": 1.5}


def curve(name: str, alt: str, loss: Sequence[float | None], seconds: Sequence[float]) -> Markup:
    """Loss (None if it was not a number) and seconds of each iteration, side by side."""

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        left, right = figure.subplots(1, 2)
        steps = range(1, len(loss) + 1)
        left.plot(steps, [math.nan if value is None else value for value in loss], "o-", **_LOSS)
        left.set_title("loss over a fixed sample of users")
        right.bar(steps, seconds, color=MUTED, width=0.7)
        right.set_title("seconds")
        for axes in (left, right):
            axes.set_xlabel("iteration")
            axes.set_xlim(0.4, len(loss) + 0.6)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y")
            axes.locator_params(axis="y", nbins=4)
            axes.tick_params(axis="y", labelcolor=MUTED)
            axes.ticklabel_format(axis="y", useOffset=False)

    return svg(name, alt, 2.4, draw, width_in=WIDE_IN)


def _row_of_axes(figure: Figure, n: int) -> list[Any]:
    return list(figure.subplots(1, n, sharey=True, squeeze=False)[0])


def svg(name: str, alt: str, height_in: float, draw: Callable[[Figure], None], *, width_in: float = WIDTH_IN) -> Markup:
    """The drawing of `draw` as an element of the page."""
    # Imported here: it takes long, and only the report needs it.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        draw(figure)
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(out, metadata=nothing)
    return _inline(name, alt, out.getvalue())


def _inline(name: str, alt: str, text: str) -> Markup:
    """An SVG document as an element: no prologue, ids of its own, scaled by the page, with a text description."""
    body = text[text.index("<svg") :]
    body = re.sub(r'\b(id=")|(href="#)|(url\(#)', lambda match: f"{match[0]}{name}-", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    view = re.search(r'viewBox="[^"]+"', body)
    assert view is not None
    inner = body[body.index(">") + 1 :]
    alt = escape(alt)
    head = f'<svg {view[0]} role="img" aria-label="{alt}"><title>{alt}</title>'
    # All of it is matplotlib's, which escapes its texts, or escaped above.
    return Markup(head + inner.replace("xlink:href", "href"))  # noqa: S704
