"""The documents of a search: its plan, trials, outcome, tuned configuration and report."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ..config import TuneConfig
from ..models.choice import Choice
from ..parameters.definition import ParameterValue
from ..registry.verdict import Interval
from ..runs.journal import RunFacts, TaskRecord
from ..storage.documents import Count, EpochSeconds, Share, TopK
from .space import Values

# Format 1 had no age floor and no learned half-life of the prior, format 2 no family but ALS.
FORMAT = 3

TunedId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{8}-[0-9a-f]{12}\Z")]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The searched parameters, and the folds on which trials are judged.

    folds : URIs of the folds, in the order in which trials are judged: the newest first
    confirm : URI of the fold that only default and winner are judged on; it is newer than all of `folds`
    split_s : the split time of the retraining; no fold has interactions at or after it
    holdouts : begin and end of the holdout of each of `folds`, then of `confirm`
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
    """The result of a trial. Trial 0 has the values of the run itself.

    recalls : mean Recall@K of each judged split; pruned : stopped early
    objective : mean over all judged users of these splits
    artifacts : URI of the artifact of each split
    choices : the judged model of each split: what was searched, and what the training chose
    """

    number: Count
    values: Values
    recalls: list[float]
    objective: float
    coverage: Share
    pruned: bool
    seconds: float
    artifacts: list[str]
    choices: list[Choice] = []


class SearchOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The best trial, compared with the defaults.

    searched : interval over all judged users of the splits of the search; it favours the winner, which was chosen there
    confirmed : on the newest split, which no trial was chosen on, at `confirm_level`
    alone : the same at `alone_level`: that of the gate, or `confirm_level` where it is higher
    *_users : judged users of an interval; a user who is judged on two splits counts twice
    confirmed_covers : coverage on the newest split, of winner and defaults
    confirmed_choices : the model that each of them was there
    too_narrow : it recommends better but its coverage is too small; then it is not `better`
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
    confirmed_choices: tuple[Choice, Choice]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The evidence for a tuned configuration, and its origin.

    parsed : URI of the parsed reviews; run : id of the search's run
    """

    choice: SearchOutcome
    plan: Plan
    top_k: TopK
    snapshot: str
    parsed: str
    run: str


class Tuned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tuned configuration, `tuned/<id>.json`.

    id : the date of as_of, and a hash of all other fields without the run
    better : whether it is better than the defaults
    split_s : the search used no interaction at or after it
    values : parameter -> value; defaults : defaults of all tunable parameters at that time
    """

    id: str
    format: Literal[3] = 3
    as_of: str
    better: bool
    split_s: EpochSeconds
    defaults: dict[str, ParameterValue]
    values: dict[str, ParameterValue]
    evidence: Evidence


class TuneReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """tuning.json: all facts of a search. A section that it did not reach is None or empty.

    error : the record of the task that failed; defaults : the run's own values of the searched parameters
    tuned : id of the stored configuration
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
