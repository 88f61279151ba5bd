"""Whom the models serve, and with what: the slices and the item prior, in the rows that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ..evaluation.gate import CANDIDATE, CHAMPION
from . import plots
from .pages import title
from .view import WITHOUT_PRIOR, Report, baseline_of

BY_ITEM = "popularity of the item"


def compared(report: Report) -> list[str]:
    """The models whose slices are told: candidate, itself without prior, strongest popularity, champion."""
    judged = report.get("judged") or {}
    names = [CANDIDATE, WITHOUT_PRIOR, baseline_of(report) or "", CHAMPION]
    return [name for name in names if name in judged and "slices" in judged[name]]


def short(name: str) -> str:
    """A model's name for the head of a narrow column."""
    return {WITHOUT_PRIOR: "no prior"}.get(name, title(name).partition(",")[0])


def user_slices(report: Report) -> list[dict[str, Any]]:
    """name and rows (label, users, recalls in the order of `compared`) of each way to slice the users."""
    names = compared(report)
    if not names:
        return []
    slices: Mapping[str, Any] = report["judged"][names[0]]["slices"]
    return [
        {"name": name, "rows": [_user_row(report, names, name, at) for at in range(len(slices[name]))]}
        for name in slices
        if name != BY_ITEM
    ]


def _user_row(report: Report, names: list[str], slicing: str, at: int) -> dict[str, Any]:
    rows = [report["judged"][name]["slices"][slicing][at] for name in names]
    return {"label": rows[0]["label"], "users": rows[0]["users"], "recalls": [row["recall"] for row in rows]}


def item_slices(report: Report) -> list[dict[str, Any]]:
    """label, items, held_out, and recalls and shown in the order of `compared`, from hits to rare items."""
    names = compared(report)
    parts = [report["judged"][name]["slices"][BY_ITEM] for name in names]
    return [
        {
            "label": rows[0]["label"],
            "items": rows[0]["items"],
            "held_out": rows[0]["held_out"],
            "recalls": [row["recall"] for row in rows],
            "shown": [row["shown"] for row in rows],
        }
        for rows in zip(*parts, strict=True)
    ]


def shown_plot(report: Report) -> Markup | None:
    """Share of what candidate and baseline recommend, by popularity of the item."""
    rows, names = item_slices(report), compared(report)
    baseline = baseline_of(report)
    if not rows or baseline not in names:
        return None
    pair = [CANDIDATE, baseline]
    groups = [(title(name), [row["shown"][names.index(name)] for row in rows]) for name in pair]
    spoken = "; ".join(
        f"{row['label']}: " + " and ".join(f"{values[at]:.3f}" for _, values in groups) for at, row in enumerate(rows)
    )
    alt = f"Share of recommendations by popularity decile of the item, {title(pair[0])} and {title(pair[1])}: {spoken}"
    return plots.grouped("shown", alt, [row["label"] for row in rows], groups, width_in=plots.WIDE_IN)


def tried_priors(report: Report) -> dict[str, Any] | None:
    """The grid in which the prior was learned: `powers`, and rows of `days` and `cells`, a cell a power.

    A cell has its recall, whether it is the chosen one, and whether it is clearly worse than the best.
    """
    prior = report.get("prior")
    if not prior or not prior["tried"]:
        return None
    cells = {(row["half_life_days"], row["power"]): row for row in prior["tried"]}
    half_lives, powers = (sorted({point[at] for point in cells}) for at in (0, 1))
    chosen = prior["half_life_days"], prior["power"]
    return {
        "powers": powers,
        "rows": [
            {
                "days": days,
                "cells": [
                    {
                        "recall": cells[days, power]["recall"],
                        "chosen": (days, power) == chosen,
                        "far": cells[days, power]["clearly_worse"],
                    }
                    for power in powers
                ],
            }
            for days in half_lives
        ],
    }
