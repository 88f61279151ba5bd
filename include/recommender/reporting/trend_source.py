"""The parts of a report that the trend reads: typed, and checked when read, since the file is untrusted."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..registry.moves import instant
from ..storage.documents import Decision, Origin, Share, TopK, decode

Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]  # to the end of the year 9999


class RunPart(msgspec.Struct, frozen=True):
    """The request of the run."""

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
    """The error that stopped the run."""

    kind: str


class ReportPart(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of report.json that the trend needs."""

    run: RunPart | None = None
    verdict: VerdictPart | None = None
    fold: FoldPart | None = None
    snapshot: SnapshotPart | None = None
    model: PublishedPart | None = None
    error: ErrorPart | None = None
    unchanged: str | None = None
    generated_sample: bool = False


def read_report(raw: bytes, where: str) -> ReportPart:
    """Parse the output of `write_report`. Raises DataError that names each wrong field."""
    return decode(
        raw, ReportPart, Origin(where, "a report of this version", "Clear the task write_report of that run.")
    )
