"""The stored verdict: in verdict.json, in a bundle's manifest and in a report."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ..config import GateConfig
from ..storage.documents import Count, Decision, ModelId, Share, TopK

# A model's name, which becomes part of a file name.
Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_-]{0,99}\Z")]
How = Literal["none", "published", "refitted"]


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mean difference of Recall@K (candidate minus the other) and its paired bootstrap interval."""

    mean: float
    low: float
    high: float


class ComparedVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version of the channel among the models judged.

    name : "champion", or "earlier_1" for the newest of those that were live before it
    how : "published" by its judged factors, "refitted" by its configuration, "none" where it was not compared
    """

    name: Name
    model_id: ModelId
    how: How
    note: str


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The decision of the gate, and every number that it used.

    baseline : the strongest popularity
    relative_lift : candidate over baseline, minus 1; None if the baseline has no hit
    reference : the best of the champion and the versions live before it, by the mean; None if none was judged
    against_reference : candidate minus reference, at `reference_level`: the best of k is chosen on this very holdout,
        so its tail is that of `confidence_level` divided by k (Bonferroni)
    rivals : simple model -> candidate minus it; the candidate must not be clearly worse than one
    reasons : why it is not PROMOTE, or how the candidate compares
    forced : why a person forced the promotion; None without force
    intervals : model -> candidate minus that model
    versions : versions of the channel that were judged; not_compared : version -> why it was not judged
    """

    decision: Decision
    reasons: list[str]
    n_users: Count
    top_k: TopK
    baseline: Name
    candidate_recall: Share
    baseline_recall: Share
    relative_lift: float | None
    against_popularity: Interval
    champion_recall: Share | None
    against_champion: Interval | None
    reference: Name | None
    reference_recall: Share | None
    against_reference: Interval | None
    reference_level: Share | None
    thresholds: GateConfig
    rivals: dict[Name, Interval] = {}
    forced: str | None = None
    intervals: dict[Name, Interval] = {}
    versions: list[ComparedVersion] = []
    not_compared: dict[str, str] = {}

    def __post_init__(self) -> None:
        reference = (self.reference, self.reference_recall, self.against_reference, self.reference_level)
        if len({part is None for part in reference}) > 1:
            raise ValueError("reference, reference_recall, against_reference and reference_level: expected all or none")
        if (self.champion_recall is None) != (self.against_champion is None):
            raise ValueError("champion_recall and against_champion: expected both or none")

    @property
    def publishes(self) -> bool:
        """Whether the model is published: on PROMOTE, or if a person forces the promotion."""
        return self.decision == "PROMOTE" or bool(self.forced)

    @property
    def version_ids(self) -> dict[str, str]:
        """Model -> id, of the channel's versions that were compared."""
        return {row.name: row.model_id for row in self.versions}
