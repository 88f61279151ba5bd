"""The chosen model, as stored in chosen.json, a manifest's counts and a report."""

from __future__ import annotations

import msgspec

from ..models.choice import Choice
from ..storage.documents import Count, Share


class TriedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tried model on the inner holdout.

    recall, coverage : Recall@K, and the share of the catalogue in the lists of the judged users
    errors_below : distance below the best in standard errors of the paired difference
    clearly_worse : whether that is too large
    """

    choice: Choice
    recall: Share
    coverage: Share
    errors_below: float
    clearly_worse: bool


class ChosenModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The choice, the reason, the number of judged users, and what was tried."""

    choice: Choice
    why: str
    judged_users: Count
    tried: list[TriedModel]
