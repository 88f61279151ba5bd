"""The chosen model, as stored in chosen.json, a manifest's counts and a report."""

from __future__ import annotations

import msgspec

from ..models.choice import Choice
from ..storage.documents import Count, Share


class TriedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tried model on the inner holdout.

    recall : Recall@K; of a model that was dropped early, that of the best less what it lost to it on the first users
    coverage : the share of the catalogue in the lists of some users, see `ChosenModel`
    errors_below : distance below the best in standard errors of the paired difference
    clearly_worse : whether that is too large
    judged_users : that it was judged on; fewer than of the best where it was dropped early
    """

    choice: Choice
    recall: Share
    coverage: Share
    errors_below: float
    clearly_worse: bool
    judged_users: Count


class ChosenModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The choice, the reason, and what was tried.

    judged_users : that the choice was judged on
    listed_users : of whose lists the coverage is; the first of them, the same for all models
    """

    choice: Choice
    why: str
    judged_users: Count
    listed_users: Count
    tried: list[TriedModel]
