"""The gate: PROMOTE, HOLD or REJECT, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ..config import GateConfig
from .metrics import Floats

Decision = Literal["PROMOTE", "HOLD", "REJECT"]

CANDIDATE, CHAMPION = "candidate", "champion"


@dataclass(frozen=True)
class Interval:
    """A mean difference of Recall@K (candidate minus the other) and its paired bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, and every number it decided on; relative_lift is None where the opponent has no hit."""

    decision: Decision
    reasons: list[str]
    n_users: int
    top_k: int
    opponent: str
    candidate_recall: float
    opponent_recall: float
    relative_lift: float | None
    against_popularity: Interval
    champion_recall: float | None
    against_champion: Interval | None
    forced: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def paired_bootstrap(differences: Floats, config: GateConfig) -> Interval:
    """Percentile interval of the mean of paired differences (Efron and Tibshirani 1993).

    Differences of recall take few distinct values, so a resample is one multinomial draw of how often each occurs:
    the same distribution as drawing users, without drawing n_users numbers a resample.

    Parameters
    ----------
    differences : float64, shape (n_users,), at least one
    """
    values, counts = np.unique(differences, return_counts=True)
    n = len(differences)
    rng = np.random.default_rng(config.seed)
    means = np.empty(config.resamples)
    step = max(1, 4_000_000 // len(values))
    for start in range(0, config.resamples, step):
        size = min(step, config.resamples - start)
        drawn = rng.multinomial(n, counts / n, size=size)
        # Not `drawn @ values`: the order in which BLAS adds depends on its threads.
        means[start : start + size] = (drawn * values).sum(axis=1) / n
    tail = (1 - config.confidence_level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(differences.mean()), float(low), float(high))


def paired_interval(candidate: Floats, other: Floats, config: GateConfig) -> Interval:
    """The mean of candidate - other, with the interval that the gate decides on.

    Two imaginary users join the bootstrap, one for each of the largest differences that recalls can have, +1 and -1
    (the idea of Agresti and Coull 1998 for proportions). Hits are rare: where one side has a handful, chance easily
    leaves it none, and no resample of the real users could show that it might have had some. docs/gate-rates.md has
    what the plain interval would do.

    Parameters
    ----------
    candidate, other : Recall@K of the same users, float64, shape (n_users,), at least one
    """
    differences = candidate - other
    guarded = paired_bootstrap(np.append(differences, [1.0, -1.0]), config)
    return replace(guarded, mean=float(differences.mean()))


def decide(recalls: Mapping[str, Floats], top_k: int, config: GateConfig) -> Verdict:
    """Judge the candidate against the strongest popularity, and the champion where there is one.

    Parameters
    ----------
    recalls : contestant -> Recall@K of each judged user, float64, shape (n_users,); holds "candidate", one or more
        "popularity_...", and "champion" where it could be judged on a holdout that it had not seen

    The strongest popularity is chosen on the holdout itself, which favours popularity: the candidate has one try.
    """
    means = {name: float(values.mean()) for name, values in recalls.items()}
    opponents = sorted(name for name in means if name.startswith("popularity"))
    opponent = max(opponents, key=lambda name: means[name])
    candidate = recalls[CANDIDATE]
    against = paired_interval(candidate, recalls[opponent], config)
    lift = means[CANDIDATE] / means[opponent] - 1 if means[opponent] else None
    versus = paired_interval(candidate, recalls[CHAMPION], config) if CHAMPION in recalls else None
    rejected, held = _objections(len(candidate), lift, against, versus, means.get(CHAMPION), opponent, config)
    decision: Decision = "REJECT" if rejected else "HOLD" if held else "PROMOTE"
    return Verdict(
        decision,
        rejected + held or [f"better than {opponent} at {config.confidence_level:.0%} confidence"],
        len(candidate),
        top_k,
        opponent,
        means[CANDIDATE],
        means[opponent],
        lift,
        against,
        means.get(CHAMPION),
        versus,
    )


def _objections(
    n_users: int,
    lift: float | None,
    against: Interval,
    versus: Interval | None,
    champion: float | None,
    opponent: str,
    config: GateConfig,
) -> tuple[list[str], list[str]]:
    """Reasons to reject, and reasons to hold."""
    rejected, held = [], []
    if n_users < config.min_users:
        held.append(f"too few users: {n_users:,} judged, min_users={config.min_users:,}")
    elif against.high < 0:
        rejected.append(f"worse than {opponent}: the interval ({against.low:+.4f}, {against.high:+.4f}) lies below 0")
    elif not against.low > 0:  # also where it is no number
        held.append(f"not enough evidence: the interval ({against.low:+.4f}, {against.high:+.4f}) includes 0")
    elif lift is not None and lift < config.min_relative_lift:
        held.append(f"lift {lift:+.1%} over {opponent}, min_relative_lift={config.min_relative_lift:.1%}")
    if versus is not None and champion and versus.mean < -config.champion_tolerance * champion:
        loss = f"{versus.mean / champion:+.1%} against the champion, champion_tolerance={config.champion_tolerance:.1%}"
        if n_users >= config.min_users and versus.high < 0:
            rejected.append(f"worse than the champion: {loss}")
        else:
            held.append(f"perhaps worse than the champion: {loss}")
    return rejected, held
