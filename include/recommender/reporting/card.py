"""MODEL_CARD.md: the data, the training and the judgement of a model. The same model gives the same bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..data.counts import FoldCounts
from ..evaluation.chosen import ChosenModel
from ..models.knn.fitting import REGRESSED
from ..registry.verdict import Verdict
from .pages import environment, prose
from .tables import WIDTH, render_verdict


@dataclass(frozen=True, kw_only=True)
class Card:
    """The content of a card.

    about : the bundle's manifest without its files and its verdict
    metrics : model -> "metric@K" -> mean
    champion : the evaluation's note on the champion
    judged, published : counts of the judged fold, and of the fold of the refit
    chosen : why the model was chosen; None leaves it out
    """

    about: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    verdict: Verdict
    champion: str | None
    judged: FoldCounts
    published: FoldCounts
    chosen: ChosenModel | None = None


def render_card(card: Card) -> str:
    """The card of a bundle."""
    table = render_verdict(card.metrics, card.verdict, card.champion)
    page = environment().get_template("MODEL_CARD.md")
    chosen = _chosen(card.chosen) if card.chosen else None
    about: dict[str, Any] = {"about": card.about, "regressed": REGRESSED}
    return page.render(**about, fold=card.judged, published=card.published, table=table, chosen=chosen)


def _chosen(chosen: ChosenModel) -> str:
    """Why the model was chosen, in lines."""
    up_to = "up to " if chosen.listed_users < chosen.judged_users else ""
    of = f", of {len(chosen.tried):,} tried on {up_to}{chosen.judged_users:,} users of a time split inside train"
    return textwrap.fill(
        f"Why this one{of if chosen.tried else ''}: {prose(chosen.why)}.", WIDTH, break_on_hyphens=False
    )
