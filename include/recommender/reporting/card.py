"""MODEL_CARD.md: the data, the training and the judgement of a model. The same model gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..data.counts import FoldCounts
from ..registry.verdict import Verdict
from .pages import environment
from .tables import render_verdict


@dataclass(frozen=True, kw_only=True)
class Card:
    """The content of a card.

    about : the bundle's manifest without its files and its verdict
    metrics : model -> "metric@K" -> mean
    champion : the evaluation's note on the champion
    judged, published : counts of the judged fold, and of the fold of the refit
    """

    about: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    verdict: Verdict
    champion: str | None
    judged: FoldCounts
    published: FoldCounts


def render_card(card: Card) -> str:
    """The card of a bundle."""
    table = render_verdict(card.metrics, card.verdict, card.champion)
    page = environment().get_template("MODEL_CARD.md")
    return page.render(about=card.about, fold=card.judged, published=card.published, table=table)
