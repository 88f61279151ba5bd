"""The search: which configuration to try next, and which trial to stop. Each call rebuilds the study from the results.

So every answer is a pure function of the seed and the results so far, without a database. A repeated task gets the same
configurations, and a longer search begins with the same trials as a shorter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..config import GateConfig, TuneConfig
from ..evaluation.gate import paired_interval
from ..evaluation.metrics import Floats
from ..registry.verdict import Interval
from .records import TrialResult
from .space import Values, distributions, inside

if TYPE_CHECKING:
    from optuna.study import Study

# Random trials before the sampler uses the results.
STARTUP_TRIALS = 10
MIN_FOR_IMPORTANCE = 4


def ask(results: Sequence[TrialResult], defaults: Values, n: int, config: TuneConfig) -> list[Values]:
    """Return the next n configurations to try; the first of all are the defaults.

    Tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023) over the parameters together; trials of one
    round count as bad ones (constant liar), so that they lie apart.
    """
    if not results:
        return [defaults, *(_sampled([], defaults, n - 1, config) if n > 1 else [])]
    return _sampled(results, defaults, n, config)


def _sampled(results: Sequence[TrialResult], defaults: Values, n: int, config: TuneConfig) -> list[Values]:
    study = make_study(results, list(defaults), config)
    space = distributions(list(defaults))
    return [dict(study.ask(space).params) for _ in range(n)]


def make_study(results: Sequence[TrialResult], names: Sequence[str], config: TuneConfig) -> Study:
    """An Optuna study of the results; below the least coverage, the objective is reduced in proportion."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=STARTUP_TRIALS,
        multivariate=True,
        constant_liar=True,
        seed=int(np.random.SeedSequence([config.seed, len(results)]).generate_state(1)[0]),
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = distributions(names)
    floor = max(least_coverage(results, config), np.finfo(float).tiny)
    for row in sorted(results, key=lambda row: row.number):
        if not inside(row.values):  # the run's own values may lie outside the search space
            continue
        study.add_trial(
            create_trial(
                params=row.values,
                distributions=space,
                value=None if row.pruned else row.objective * min(1.0, row.coverage / floor),
                intermediate_values=dict(enumerate(row.recalls)),
                state=TrialState.PRUNED if row.pruned else TrialState.COMPLETE,
            )
        )
    return study


def least_coverage(results: Sequence[TrialResult], config: TuneConfig) -> float:
    """The least coverage of a winner: a share of the defaults' coverage; 0 before they were judged."""
    return next((config.min_coverage * row.coverage for row in results if row.number == 0), 0.0)


def best_of(results: Sequence[TrialResult], config: TuneConfig) -> TrialResult | None:
    """The best trial with all splits and enough coverage; among equal ones the first."""
    floor = least_coverage(results, config)
    whole = [row for row in results if not row.pruned and row.coverage >= floor]
    return max(whole, key=lambda row: (row.objective, -row.number), default=None)


def hopeless(own: Sequence[Floats], best: Sequence[Floats], config: TuneConfig) -> Interval | None:
    """The paired interval of (trial - best so far) over the splits so far, if it lies below 0.

    Trials are judged on the same users, so the paired difference is more sensitive than the ranks that Optuna's own
    pruners compare.
    """
    level = GateConfig(confidence_level=config.level, resamples=2_000, seed=config.seed)
    found = paired_interval(np.concatenate(own), np.concatenate(best[: len(own)]), level)
    return found if found.high < 0 else None


def importances(results: Sequence[TrialResult], names: Sequence[str], config: TuneConfig) -> dict[str, float]:
    """Importance of each parameter as a share (PED-ANOVA, Watanabe et al. 2023), largest first."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = make_study(results, names, config)
    if len({row.objective for row in results if not row.pruned}) < MIN_FOR_IMPORTANCE:
        return {}
    found: dict[str, float] = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return dict(sorted(found.items(), key=lambda row: -row[1]))
