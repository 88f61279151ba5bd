"""What a search stores and hands from task to task: its plan, its trials, its choice, and the configuration it made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ..config import TuneConfig
from ..registry.verdict import Interval
from ..runs.journal import RunFacts, TaskRecord
from ..storage.documents import Count, EpochSeconds, Share, TopK
from .space import Values

# 1: from before old interactions kept a floor and the half-life of the prior was learned: no longer to be made.
FORMAT = 2

TunedId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{8}-[0-9a-f]{12}\Z")]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is searched, and where it is judged.

    folds : URIs of the folds, in the order in which trials are judged: the newest first
    confirm : URI of the fold that only default and winner are judged on; it is newer than all of `folds`
    split_s : the split time of the retraining whose holdout is left alone; no fold knows anything at or after it
    holdouts : of each of `folds`, then of `confirm`, the instants at which its holdout begins and ends
    """

    names: list[str]
    defaults: Values
    folds: list[str]
    confirm: str
    split_s: EpochSeconds
    holdouts: list[tuple[EpochSeconds, EpochSeconds]]

    def __post_init__(self) -> None:
        if len(self.holdouts) != len(self.folds) + 1:
            raise ValueError("holdouts: expected one for each fold and one for the confirmation")


class TrialRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration to try."""

    number: Count
    values: Values


class TrialResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trial as it ended. Trial 0 are the values that the run was started with.

    recalls : mean Recall@K of each split that it came to; pruned : stopped early
    objective : mean over all judged users of these splits
    artifacts : URI of what was kept of each split
    """

    number: Count
    values: Values
    recalls: list[float]
    objective: float
    coverage: Share
    pruned: bool
    seconds: float
    artifacts: list[str]


class SearchOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The winner, against the defaults.

    searched : interval over all judged users of the splits that the search looked at; it favours the winner, which was
        chosen there
    confirmed : on the newest split, which no trial was chosen on, at `confirm_level`
    alone : the same at `alone_level`: that of the gate, or `confirm_level` where it is higher
    *_users : how many judged users stand behind an interval; who is judged at two splits counts twice
    confirmed_covers : coverage on the newest split, winner and defaults
    too_narrow : it recommends better, but covers too little there; then it is not `better`
    """

    trials: Count
    number: Count
    values: Values
    better: bool
    too_narrow: bool
    searched: Interval
    confirmed: Interval
    alone: Interval
    alone_level: Share
    by_split: list[Interval]
    default_recall: float
    best_recall: float
    confirmed_default: float
    confirmed_best: float
    searched_users: Count
    confirmed_users: Count
    confirmed_covers: tuple[Share, Share]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What speaks for the values of a tuned configuration, and where it comes from.

    parsed : URI of the reviews that were searched on; run : the id of the search's run
    """

    choice: SearchOutcome
    plan: Plan
    top_k: TopK
    snapshot: str
    parsed: str
    run: str


class Tuned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tuned configuration, `tuned/<id>.json`.

    id : the date of as_of, and a hash of all else but the run
    better : than the defaults
    split_s : the search knew nothing at or after it
    values : parameter -> value; defaults : those of all tunable parameters then
    """

    id: str
    format: Literal[2] = 2
    as_of: str
    better: bool
    split_s: EpochSeconds
    defaults: dict[str, Any]
    values: dict[str, Any]
    evidence: Evidence


class TuneReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """tuning.json: everything that is known of a search. A section that it did not come to is None or empty.

    error : the record of the task that failed; defaults : the run's own values of the searched parameters
    tuned : the id under which the outcome is kept
    """

    run: RunFacts | None = None
    tasks: list[TaskRecord] = []
    error: TaskRecord | None = None
    plan: Plan | None = None
    top_k: TopK
    level: Share
    snapshot: str | None = None
    generated_sample: bool = False
    search: TuneConfig
    results: list[TrialResult] = []
    importances: dict[str, float] = {}
    choice: SearchOutcome | None = None
    tuned: str | None = None
    defaults: Values = {}
    unreadable: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The searched parameters."""
        return self.plan.names if self.plan else []
