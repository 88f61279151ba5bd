"""What the trend reads of a report: typed, and checked when it is read, since anybody may have written it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..registry.moves import instant
from ..storage.documents import Decision, Origin, Share, TopK, decode

Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]  # to the end of the year 9999


class RunPart(msgspec.Struct, frozen=True):
    """What the run was asked to do."""

    as_of: str
    channel: str
    snapshot: str | None = None

    def __post_init__(self) -> None:
        instant(self.as_of)


class VerdictPart(msgspec.Struct, frozen=True, kw_only=True):
    """Recall@top_k on the run's own holdout."""

    decision: Decision
    top_k: TopK
    candidate_recall: Share
    baseline: str
    baseline_recall: Share
    champion_recall: Share | None = None
    forced: str | None = None


class FoldPart(msgspec.Struct, frozen=True):
    """last_s : time of the newest interaction that the run knew"""

    last_s: Seconds


class SnapshotPart(msgspec.Struct, frozen=True):
    """The snapshot that was used."""

    snapshot: str


class PublishedPart(msgspec.Struct, frozen=True):
    """The version that was published."""

    model_id: str


class ErrorPart(msgspec.Struct, frozen=True):
    """What stopped the run."""

    kind: str


class ReportPart(msgspec.Struct, frozen=True, kw_only=True):
    """report.json, as far as the trend needs it."""

    run: RunPart | None = None
    verdict: VerdictPart | None = None
    fold: FoldPart | None = None
    snapshot: SnapshotPart | None = None
    model: PublishedPart | None = None
    error: ErrorPart | None = None
    unchanged: str | None = None
    generated_sample: bool = False


def read_report(raw: bytes, where: str) -> ReportPart:
    """Read what `write_report` wrote. Raises DataError naming each field that is wrong."""
    return decode(
        raw, ReportPart, Origin(where, "a report of this version", "Clear the task write_report of that run.")
    )
