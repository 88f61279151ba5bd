"""MODEL_CARD.md: what a model is, what it has seen, how it was judged. The same model gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pages import environment
from .tables import render_verdict


def render_card(
    about: Mapping[str, Any], judged: Mapping[str, Any], fold: Mapping[str, Any], published: Mapping[str, Any]
) -> str:
    """The card of a bundle.

    Parameters
    ----------
    about : the bundle's manifest without its files
    judged : model -> means
    fold, published : statistics of the judged fold and of the refit
    """
    table = render_verdict(judged, about["verdict"], about.get("champion"))
    page = environment().get_template("MODEL_CARD.md")
    return page.render(about=about, fold=fold, published=published, table=table)
