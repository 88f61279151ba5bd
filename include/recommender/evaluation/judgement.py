"""The judgement of one model, as stored in judged.json and in a report."""

from __future__ import annotations

import msgspec

from ..registry.verdict import Name
from ..storage.documents import Count, Share


class HistoryRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Judged users with `at_least` train interactions but fewer than in the next row, and their mean recall."""

    at_least: Count
    users: Count
    recall: Share


class UserRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of judged users and its mean recall."""

    label: str
    users: Count
    recall: Share


class ItemRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A decile of the items by popularity.

    recall : share of its held-out interactions that were found; None if there are none
    shown : share of all recommendations
    """

    label: str
    items: Count
    held_out: Count
    recall: Share | None
    shown: Share


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model on the holdout.

    means : "metric@K" -> mean over the judged users
    slices : Recall@top_k by kind of user, a list a way to group them; by_popularity counts held-out interactions
    """

    means: dict[str, float]
    by_history: list[HistoryRow]
    slices: dict[str, list[UserRow]]
    by_popularity: list[ItemRow]


class Judgements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """judged.json: model -> its judgement."""

    models: dict[Name, Judgement]


Metrics = dict[str, dict[str, float]]  # model -> "metric@K" -> mean


def metrics_of(judged: dict[str, Judgement]) -> Metrics:
    """The means of each model."""
    return {name: row.means for name, row in judged.items()}
