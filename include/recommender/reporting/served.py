"""The slices of users and items, as rows of the page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ..evaluation.gate import CANDIDATE, CHAMPION
from ..models.rivals import RIVALS
from . import plots
from .pages import title
from .report import Report
from .view import baseline_of


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


def compared(report: Report) -> list[str]:
    """The models whose slices are shown: candidate, rivals, strongest popularity, champion."""
    names = [CANDIDATE, *reversed(RIVALS), baseline_of(report) or "", CHAMPION]
    return [name for name in names if name in report.judged]


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
