"""The chosen model and those that were tried beside it, as rows and a plot of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..evaluation.choose import CLEARLY_WORSE
from ..evaluation.chosen import ChosenModel, TriedModel
from ..models.choice import Choice
from ..parameters.of_models import ALS, BLEND, EASE, KNN
from . import plots
from .plots import Group
from .report import Report

FAR_ERRORS = CLEARLY_WORSE  # for the page
FAMILIES = {ALS: "ALS alone", BLEND: "ALS + item-kNN", KNN: "item-kNN alone"}
LOOKS = {ALS: (plots.ALS, "s"), BLEND: (plots.BLEND, "o"), KNN: (plots.KNN, "^")}


# Half-life of confidences, descending; whether weights are learned, family, weight and factors.
Place = tuple[float, bool, int, float, int]


@dataclass(frozen=True)
class Cell:
    """A tried prior: whether it was chosen, and whether it is clearly worse than the best."""

    recall: float
    chosen: bool
    far: bool


@dataclass(frozen=True)
class PriorTable:
    """The priors that were tried with the chosen parts: half-life in days -> cells, a cell a power."""

    powers: list[float]
    rows: dict[float, list[Cell]]


def parts(choice: Choice) -> str:
    """What a model sums, and whether it ages, without its factors and its prior."""
    part = choice.item_part
    of_family = {ALS: FAMILIES[ALS], BLEND: f"ALS + {choice.knn_weight:g} x {part}", KNN: f"{part} alone"}
    summed = of_family[choice.family]
    return summed if choice.half_life_days else f"{summed}, no ageing"


def best_tried(chosen: ChosenModel) -> dict[str, list[TriedModel]]:
    """Ageing and weight of item-kNN or EASE, in words -> the best model of each number of factors, and the chosen one.

    Weights ascend from ALS alone to item-kNN alone, first with ageing and without EASE, and factors within them.
    """
    rows: dict[Place, list[TriedModel]] = {}
    for each in chosen.tried:
        rows.setdefault(_place(each.choice), []).append(each)
    found: dict[str, list[TriedModel]] = {}
    for _, tried in sorted(rows.items()):
        best = max(tried, key=lambda each: (each.judged_users, each.recall, each.choice == chosen.choice))
        shown = [best, *(each for each in tried if each.choice == chosen.choice and each is not best)]
        found.setdefault(parts(best.choice), []).extend(shown)
    return found


def _place(choice: Choice) -> Place:
    """All but the prior."""
    learned = choice.family != ALS and choice.knn_similarity == EASE
    family = list(FAMILIES).index(choice.family)
    return -choice.half_life_days, learned, family, choice.knn_weight, choice.factors


def has_ease(chosen: ChosenModel) -> bool:
    """Whether EASE was tried."""
    return any(each.choice.knn_similarity == EASE for each in chosen.tried)


def tried_priors(chosen: ChosenModel) -> PriorTable | None:
    """The priors that were tried with all else as chosen; None if the prior was not chosen."""
    same = [each for each in chosen.tried if _place(each.choice) == _place(chosen.choice)]
    if len(same) < 2:
        return None
    powers = sorted({each.choice.prior_power for each in same})
    rows: dict[float, list[Cell]] = {}
    for each in sorted(same, key=lambda each: (each.choice.prior_half_life_days, each.choice.prior_power)):
        cell = Cell(each.recall, each.choice == chosen.choice, each.clearly_worse)
        rows.setdefault(each.choice.prior_half_life_days, []).append(cell)
    return PriorTable(powers, rows)


def result(row: TriedModel, chosen: ChosenModel) -> str:
    """In words, what the choice made of a tried model."""
    early = row.judged_users < chosen.judged_users
    words = {
        "chosen": row.choice == chosen.choice,
        "clearly worse": row.clearly_worse,
        "given up early": early and not row.clearly_worse,
    }
    return ", ".join(word for word, holds in words.items() if holds)


def trade(tried: Iterable[TriedModel]) -> list[TriedModel]:
    """The models that no other beats in Recall and coverage, from the largest coverage to the largest Recall."""
    found: list[TriedModel] = []
    for each in sorted(tried, key=lambda each: (-each.coverage, -each.recall)):
        if not found or each.recall > found[-1].recall:
            found.append(each)
    return found


def tried_plot(report: Report) -> Markup | None:
    """Recall@K over coverage of all tried models."""
    chosen = report.chosen
    if not chosen or len(chosen.tried) < 2:
        return None
    groups = [
        Group(label=label, colour=LOOKS[family][0], marker=LOOKS[family][1], near=_points(near), far=_points(far))
        for family, label in FAMILIES.items()
        for near, far in [_by_distance(chosen, family)]
        if near or far
    ]
    line = _points(trade(chosen.tried))
    marked = _points(each for each in chosen.tried if each.choice == chosen.choice)
    unit = f"Recall@{report.top_k}"
    units = ("Coverage, % of the catalogue", unit)
    return plots.cloud("tried", _alt_text(chosen, unit), groups, line=line, marked=marked, units=units)


def _by_distance(chosen: ChosenModel, family: str) -> tuple[list[TriedModel], list[TriedModel]]:
    """The tried models of a family that are not clearly worse than the best, and those that are."""
    own = [each for each in chosen.tried if each.choice.family == family]
    return [each for each in own if not each.clearly_worse], [each for each in own if each.clearly_worse]


def _points(tried: Iterable[TriedModel]) -> list[tuple[float, float]]:
    """Coverage in percent and recall, equal points once: without power all half-lives are equal."""
    return list(dict.fromkeys((100 * each.coverage, each.recall) for each in tried))


def _alt_text(chosen: ChosenModel, unit: str) -> str:
    of_family = [
        (label, [row for row in chosen.tried if row.choice.family == name]) for name, label in FAMILIES.items()
    ]
    spans = [f"{label}: {_span(tried)}" for label, tried in of_family if tried]
    own = [f"chosen: {_place_of(each)}" for each in chosen.tried if each.choice == chosen.choice]
    line = trade(chosen.tried)
    ends = f"the largest coverage: {_place_of(line[0])}; the largest Recall: {_place_of(line[-1])}"
    return f"{unit} over coverage of {len(chosen.tried)} tried models. " + "; ".join([*spans, *own, ends])


def _span(tried: Sequence[TriedModel]) -> str:
    recalls, covers = [each.recall for each in tried], [100 * each.coverage for each in tried]
    return f"Recall {min(recalls):.4f} to {max(recalls):.4f}, coverage {min(covers):.1f} to {max(covers):.1f} %"


def _place_of(each: TriedModel) -> str:
    return f"Recall {each.recall:.4f} at coverage {100 * each.coverage:.1f} %"
