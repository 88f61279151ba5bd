"""Plots of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from markupsafe import Markup

from ..reporting.plots import ACCENT, INK, OTHER, svg
from .space import SPACE
from .study import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3


def history(results: Sequence[Result], top_k: int) -> Markup:
    """Each trial's recall in the order of asking, hollow where it was stopped early, and the best so far."""
    whole = [row for row in results if not row.pruned]
    stopped = [row for row in results if row.pruned and row.recalls]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        best = list(accumulate((row.objective for row in whole), max))
        axes.plot(
            [row.number for row in whole], best, color=INK, linewidth=1, drawstyle="steps-post", label="best so far"
        )
        axes.plot([row.number for row in whole], [row.objective for row in whole], "o", color=ACCENT, label="all cuts")
        axes.plot(
            [row.number for row in stopped],
            [row.objective for row in stopped],
            "o",
            color=OTHER,
            markerfacecolor="none",
            label="stopped early",
        )
        axes.set_xlabel("trial (0: the defaults)")
        axes.set_ylabel(f"Recall@{top_k}")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)

    best = max((row.objective for row in whole), default=0.0)
    alt = f"Recall@{top_k} of {len(results)} trials, {len(stopped)} of them stopped early; the best {best:.4f}"
    return svg("search", alt, 2.9, draw)


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


def slices(results: Sequence[Result], names: Sequence[str], top_k: int) -> Markup:
    """Recall against each parameter, one panel a parameter."""
    whole = [row for row in results if not row.pruned]

    def draw(figure: Figure) -> None:
        rows = -(-len(names) // COLUMNS)
        grid = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
        for at, axes in enumerate(grid.flat):
            if at >= len(names):
                axes.set_visible(False)
                continue
            name = names[at]
            axes.plot(
                [row.values[name] for row in whole], [row.objective for row in whole], "o", color=ACCENT, markersize=4
            )
            if SPACE[name].log:
                axes.set_xscale("log")
            axes.set_title(name)
            axes.grid(axis="y")

    alt = f"Recall@{top_k} of the trials that were judged at all cuts, against {', '.join(names)}"
    return svg("slices", alt, 0.3 + 1.3 * -(-len(names) // COLUMNS), draw)
