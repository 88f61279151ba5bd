"""What the trend reads of a report: typed, and checked when it is read, since anybody may have written it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ..errors import DataError
from ..registry.moves import instant
from ..storage.documents import parse_json

Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]  # to the end of the year 9999
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class RunPart(msgspec.Struct, frozen=True):
    """What the run was asked to do."""

    as_of: str
    channel: str
    snapshot: str | None = None


class VerdictPart(msgspec.Struct, frozen=True):
    """Recall@top_k on the run's own holdout."""

    decision: Literal["PROMOTE", "HOLD", "REJECT"]
    top_k: Annotated[int, msgspec.Meta(ge=1)]
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


class ModelPart(msgspec.Struct, frozen=True):
    """The version that was published."""

    model_id: str


class ErrorPart(msgspec.Struct, frozen=True):
    """What stopped the run."""

    kind: str


class ReportPart(msgspec.Struct, frozen=True):
    """report.json, as far as the trend needs it."""

    run: RunPart | None = None
    verdict: VerdictPart | None = None
    fold: FoldPart | None = None
    snapshot: SnapshotPart | None = None
    model: ModelPart | None = None
    error: ErrorPart | None = None
    unchanged: str | None = None
    generated_sample: bool = False


class ManifestPart(msgspec.Struct, frozen=True):
    """What a version's manifest says of its run. published_cut_s : one second after its newest interaction"""

    model_id: str
    as_of: str
    snapshot: str
    verdict: VerdictPart
    published_cut_s: Seconds | None = None


def read_report(raw: bytes, where: str) -> ReportPart:
    """Read what `write_report` wrote. Raises DataError naming the field that is wrong."""
    try:
        report = msgspec.convert(parse_json(raw, where, "Clear the task write_report of that run."), ReportPart)
        if report.run is not None:
            instant(report.run.as_of)
    except (msgspec.ValidationError, ValueError) as error:
        raise DataError(f"{where}: not a report of this version ({error})") from error
    return report


def read_manifest_part(body: object, where: str) -> ManifestPart:
    """Raises DataError naming the field that is wrong."""
    try:
        return msgspec.convert(msgspec.to_builtins(body), ManifestPart)
    except (msgspec.ValidationError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error
