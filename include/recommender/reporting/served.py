"""The slices of users and items, and the grid of the item prior, as rows of the page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ..evaluation.gate import CANDIDATE, CHAMPION
from . import plots
from .pages import title
from .report import Report
from .view import WITHOUT_PRIOR, baseline_of


@dataclass(frozen=True)
class SliceRow:
    """A group of users, and its recalls in the order of `compared`."""

    label: str
    users: int
    recalls: list[float]


@dataclass(frozen=True)
class Slicing:
    """A way to group the users."""

    name: str
    rows: list[SliceRow]


@dataclass(frozen=True, kw_only=True)
class ItemSlice:
    """A decile of the items; recalls and shown in the order of `compared`."""

    label: str
    items: int
    held_out: int
    recalls: list[float | None]
    shown: list[float]


@dataclass(frozen=True)
class Cell:
    """A tried prior: whether it was chosen, and whether it is clearly worse than the best."""

    recall: float
    chosen: bool
    far: bool


@dataclass(frozen=True)
class PriorGrid:
    """The grid in which the prior was learned: half-life in days -> cells, a cell a power."""

    powers: list[float]
    rows: dict[float, list[Cell]]


def compared(report: Report) -> list[str]:
    """The models whose slices are shown: candidate, the same without prior, strongest popularity, champion."""
    names = [CANDIDATE, WITHOUT_PRIOR, baseline_of(report) or "", CHAMPION]
    return [name for name in names if name in report.judged]


def short(name: str) -> str:
    """A model's name for the head of a narrow column."""
    return {WITHOUT_PRIOR: "no prior"}.get(name, title(name).partition(",")[0])


def user_slices(report: Report) -> list[Slicing]:
    """Each way to group the users."""
    names = compared(report)
    if not names:
        return []
    return [Slicing(name, _user_rows(report, names, name)) for name in report.judged[names[0]].slices]


def _user_rows(report: Report, names: list[str], slicing: str) -> list[SliceRow]:
    parts = [report.judged[name].slices[slicing] for name in names]
    return [SliceRow(rows[0].label, rows[0].users, [row.recall for row in rows]) for rows in zip(*parts, strict=True)]


def item_slices(report: Report) -> list[ItemSlice]:
    """The items, from hits to rare ones."""
    parts = [report.judged[name].by_popularity for name in compared(report)]
    return [
        ItemSlice(
            label=rows[0].label,
            items=rows[0].items,
            held_out=rows[0].held_out,
            recalls=[row.recall for row in rows],
            shown=[row.shown for row in rows],
        )
        for rows in zip(*parts, strict=True)
    ]


def shown_plot(report: Report) -> Markup | None:
    """Share of what candidate and baseline recommend, by popularity of the item."""
    rows, names = item_slices(report), compared(report)
    baseline = baseline_of(report)
    if not rows or baseline not in names:
        return None
    pair = [CANDIDATE, baseline]
    groups = [(title(name), [row.shown[names.index(name)] for row in rows]) for name in pair]
    texts = "; ".join(
        f"{row.label}: " + " and ".join(f"{values[at]:.3f}" for _, values in groups) for at, row in enumerate(rows)
    )
    alt = f"Share of recommendations by popularity decile of the item, {title(pair[0])} and {title(pair[1])}: {texts}"
    return plots.grouped("shown", alt, [row.label for row in rows], groups, width_in=plots.WIDE_IN)


def tried_priors(report: Report) -> PriorGrid | None:
    """The tried priors; None if the prior was not learned."""
    prior = report.prior
    if not prior or not prior.tried:
        return None
    powers = sorted({point.power for point in prior.tried})
    rows: dict[float, list[Cell]] = {}
    for point in sorted(prior.tried, key=lambda point: (point.half_life_days, point.power)):
        chosen = (point.half_life_days, point.power) == (prior.half_life_days, prior.power)
        rows.setdefault(point.half_life_days, []).append(Cell(point.recall, chosen, point.clearly_worse))
    return PriorGrid(powers, rows)
