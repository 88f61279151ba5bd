"""Whether the winner of a search is better than the defaults, confirmed on a split that chose no trial."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..config import GateConfig, RetrainConfig, TuneConfig
from ..evaluation.gate import paired_interval
from ..evaluation.metrics import Floats
from ..models.choice import Choice
from ..registry.verdict import Interval
from ..stages.facts import TrialCounts
from ..stages.workspace import Workspace
from .records import Plan, SearchOutcome, TrialResult
from .space import applied, values_text
from .steps import judge_at, recall_of
from .study import best_of

log = logging.getLogger(__name__)


def recommends_better(searched: Interval, confirmed: Interval, alone: Interval) -> bool:
    """Whether the newest split shows a gain by itself, or confirms a gain on the splits of the search.

    The winner was chosen on the splits of the search, so these alone would show a gain of noise. On the newest split
    only one trial is compared, so its interval at the gate's level has that level's error rate. The confirmation may
    use the lower `confirm_level`, since the splits of the search have to show the gain too.
    """
    return alone.low > 0 or (searched.low > 0 and confirmed.low > 0)


def covers_enough(covers: tuple[float, float], least: float) -> bool:
    """Whether the winner's coverage is at least a share of the defaults'; `covers` is (winner, defaults)."""
    own, theirs = covers
    return own >= least * theirs


@dataclass(frozen=True)
class _NewestSplit:
    """Winner and defaults on the newest split: recall of each judged user, float64, coverage, and model."""

    best: Floats
    default: Floats
    covers: tuple[float, float]
    choices: tuple[Choice, Choice]

    def interval(self, gate: GateConfig, level: float) -> Interval:
        """Winner minus defaults, at a confidence level."""
        return paired_interval(self.best, self.default, replace(gate, confidence_level=level))


def choose(
    workspace: Workspace, plan: Plan, results: Sequence[TrialResult], base: RetrainConfig, search: TuneConfig
) -> SearchOutcome:
    """Compare the best trial with the defaults, on the splits of the search and on the newest, which chose no trial.

    `recommends_better` and `covers_enough` decide whether it is better.
    """
    default = next(row for row in results if row.number == 0)
    best = best_of(results, search) or default
    ours, theirs = ([recall_of(workspace, uri) for uri in row.artifacts] for row in (best, default))
    searched = paired_interval(np.concatenate(ours), np.concatenate(theirs), base.gate)
    newest = _judge_newest(workspace, plan, best, base)
    level = max(base.gate.confidence_level, search.confirm_level)
    confirmed, alone = (newest.interval(base.gate, at) for at in (search.confirm_level, level))
    gains = best.number != 0 and recommends_better(searched, confirmed, alone)
    wide = covers_enough(newest.covers, search.min_coverage)
    choice = SearchOutcome(
        trials=len(results),
        number=best.number,
        values=best.values,
        better=gains and wide,
        too_narrow=gains and not wide,
        searched=searched,
        confirmed=confirmed,
        alone=alone,
        alone_level=level,
        by_split=[paired_interval(own, other, base.gate) for own, other in zip(ours, theirs, strict=True)],
        default_recall=float(np.concatenate(theirs).mean()),
        best_recall=best.objective,
        confirmed_default=float(newest.default.mean()),
        confirmed_best=float(newest.best.mean()),
        searched_users=sum(map(len, theirs)),
        confirmed_users=len(newest.default),
        confirmed_covers=newest.covers,
        confirmed_choices=newest.choices,
    )
    _log_outcome(choice, search)
    return choice


def _judge_newest(workspace: Workspace, plan: Plan, best: TrialResult, base: RetrainConfig) -> _NewestSplit:
    fold = workspace.artifacts.open(plan.confirm)
    config = applied(base, best.values) if best.number else base
    own, default = (judge_at(workspace, fold, each) for each in (config, base))
    ours, theirs = (each.counted(TrialCounts) for each in (own, default))
    return _NewestSplit(
        best=recall_of(workspace, own.uri),
        default=recall_of(workspace, default.uri),
        covers=(ours.coverage, theirs.coverage),
        choices=(ours.choice, theirs.choice),
    )


def _log_outcome(choice: SearchOutcome, search: TuneConfig) -> None:
    searched = choice.searched
    log.info("Best: trial %d, %.4f; defaults %.4f", choice.number, choice.best_recall, choice.default_recall)
    log.info("  %s", values_text(choice.values))
    log.info("On the splits of the search: %+.4f (%+.4f, %+.4f)", searched.mean, searched.low, searched.high)
    for found, level in ((choice.confirmed, search.confirm_level), (choice.alone, choice.alone_level)):
        log.info("On the newest split: %+.4f, %g %% (%+.4f, %+.4f)", found.mean, 100 * level, found.low, found.high)
    log.info("Coverage on the newest split: %.3f; of the defaults %.3f", *choice.confirmed_covers)
    log.info("Model on the newest split: %s; of the defaults %s", *(each.text for each in choice.confirmed_choices))
    log.info("Better than the defaults: %s", outcome(choice))


def outcome(choice: SearchOutcome) -> str:
    """Whether the winner is better than the defaults, as text."""
    if choice.too_narrow:
        return "no, it recommends better but covers too little"
    return "yes" if choice.better else "no evidence"
