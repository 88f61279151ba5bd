"""Plots of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from markupsafe import Markup

from ..parameters.definition import OneOf
from ..parameters.of_search import SPACE
from ..reporting.plots import ACCENT, INK, OTHER, svg
from .records import TrialResult
from .space import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3


def history(results: Sequence[TrialResult], floor: float, top_k: int) -> Markup:
    """Plot each trial's recall in order, by its outcome, and the best eligible trial so far."""
    kinds = {
        "may win": [row for row in results if not row.pruned and row.coverage >= floor],
        "covers too little": [row for row in results if not row.pruned and row.coverage < floor],
        "stopped early": [row for row in results if row.pruned and row.recalls],
    }
    may_win = kinds["may win"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        best = list(accumulate((row.objective for row in may_win), max))
        axes.plot(
            [row.number for row in may_win], best, color=INK, linewidth=1, drawstyle="steps-post", label="best so far"
        )
        styles = {
            "may win": ("o", ACCENT, ACCENT),
            "covers too little": ("x", ACCENT, ACCENT),
            "stopped early": ("o", OTHER, "none"),
        }
        for kind, rows in kinds.items():
            marker, colour, face = styles[kind]
            places, values = [row.number for row in rows], [row.objective for row in rows]
            axes.plot(places, values, marker, color=colour, markerfacecolor=face, label=kind, linestyle="none")
        axes.set_xlabel("trial (0: the defaults)")
        axes.set_ylabel(f"Recall@{top_k}")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

    best = max((row.objective for row in may_win), default=0.0)
    counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in kinds.items())
    return svg("search", f"Recall@{top_k} of {len(results)} trials: {counts}; the best {best:.4f}", 3.2, draw)


def importance(shares: Mapping[str, float]) -> Markup:
    """Bars of the shares, the most important first."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(range(len(shares)), list(shares.values()), color=ACCENT, height=0.62)
        axes.set_yticks(range(len(shares)), list(shares))
        axes.set_ylim(len(shares) - 0.5, -0.5)
        axes.set_xlabel("share")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")

    alt = "Importance: " + "; ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return svg("importance", alt, 0.7 + 0.24 * len(shares), draw)


def slices(results: Sequence[TrialResult], names: Sequence[str], top_k: int) -> Markup:
    """Recall against each parameter, one panel a parameter."""
    whole = [row for row in results if not row.pruned]
    if not whole:
        return Markup("")

    def draw(figure: Figure) -> None:
        rows = -(-len(names) // COLUMNS)
        grid = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
        for at, axes in enumerate(grid.flat):
            if at >= len(names):
                axes.set_visible(False)
                continue
            name = names[at]
            places = _axis(axes, name, [row.values[name] for row in whole])
            axes.plot(places, [row.objective for row in whole], "o", color=ACCENT, markersize=4)
            axes.set_title(name)
            axes.grid(axis="y")

    alt = f"Recall@{top_k} of the trials that were judged at all splits, against {', '.join(names)}"
    return svg("slices", alt, 0.3 + 1.6 * -(-len(names) // COLUMNS), draw)


def _axis(axes: Axes, name: str, values: Sequence[Value]) -> list[float]:
    """Scale and ticks of a parameter's axis; return the place of each value on it."""
    from matplotlib.ticker import NullFormatter

    space = SPACE[name]
    if isinstance(space, OneOf):
        axes.set_xticks(range(len(space.values)), space.values)
        axes.set_xlim(-0.5, len(space.values) - 0.5)
        return [space.values.index(str(value)) for value in values]
    places = [float(value) for value in values]
    if space.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    ends = sorted({min(places), max(places)})
    axes.set_xticks(ends, [f"{value:.3g}" for value in ends])
    return places
