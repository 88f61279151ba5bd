"""report.json: all facts of a run. A section that the run did not reach is None or empty."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..data.counts import FoldCounts, ParseCounts, SnapshotCounts
from ..data.quality import Check
from ..evaluation.chosen import ChosenModel
from ..evaluation.judgement import Judgement
from ..parameters import MAIN_CHANNEL
from ..registry.verdict import How, Interval, Name, Verdict
from ..runs.journal import RunFacts, TaskRecord
from ..serving.examples import Example
from ..storage.documents import Count, Origin, Share, TopK, decode


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The error that stopped the run: its task, class and message."""

    task: str
    kind: str
    message: str

    @property
    def is_refusal(self) -> bool:
        """Whether the gate or a person refused the model: a result, not an error."""
        return self.kind == "GateRejected"


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The loss of each iteration, None if it was no number, its seconds, and the start of the factors."""

    loss: list[float | None]
    seconds_per_iteration: list[float]
    start: str


class PublishedModel(msgspec.Struct, frozen=True, kw_only=True):
    """The published model. why : why the channel moved or stayed; None if the promotion is not known."""

    model_id: str
    uri: str
    verdict: str
    known_until: str | None = None
    fresh: bool | None = None
    channel: str | None = None
    promoted: bool = False
    why: str | None = None


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A parameter of the run with its default."""

    section: str
    param: str
    value: Any
    default: Any
    description: str


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A run, as far as it ran.

    finished : whether all tasks but the report's own have ended
    compared : the checks of the snapshot against the one before
    funnel : counts of the parse; fold, refitted : of the judged fold and that of the refit
    chosen : the family, the factors and the item prior of the candidate, and what was tried
    recall_intervals : model -> its own Recall@top_k
    champion : the evaluation's note on it
    table : the gate's table as text
    unchanged : the model that is already there; unchanged_report : folder of the report of its run
    lineage : stage -> URI of its artifact; timings : stage -> seconds and peak_bytes
    examples : some users with their histories and lists from the published model
    unreadable : part that could not be read -> why
    """

    format: Literal[3] = 3
    run: RunFacts | None = None
    finished: bool = False
    tasks: list[TaskRecord] = []
    error: Stop | None = None
    snapshot: SnapshotCounts | None = None
    files: list[str] = []
    generated_sample: bool = False
    compared: list[Check] = []
    funnel: ParseCounts | None = None
    fold: FoldCounts | None = None
    refitted: FoldCounts | None = None
    training: Training | None = None
    chosen: ChosenModel | None = None
    top_k: TopK | None = None
    confidence_level: Share | None = None
    judged: dict[Name, Judgement] = {}
    judged_users: Count | None = None
    recall_intervals: dict[Name, Interval] = {}
    champion: str | None = None
    champion_how: How | None = None
    verdict: Verdict | None = None
    table: str | None = None
    unchanged: str | None = None
    unchanged_report: str | None = None
    model: PublishedModel | None = None
    lineage: dict[str, str] = {}
    timings: dict[str, dict[str, float]] = {}
    configuration: list[Setting] = []
    code_version: str | None = None
    libraries: dict[str, str] = {}
    examples: list[Example] = []
    unreadable: dict[str, str] = {}

    @property
    def channel(self) -> str:
        """The channel of the run."""
        return self.run.channel if self.run else MAIN_CHANNEL


def read_report(raw: bytes, where: str) -> Report:
    """Parse the output of `write_report`. Raises DataError that names each wrong field."""
    return decode(raw, Report, Origin(where, "a report", "Clear the task write_report of that run."))
