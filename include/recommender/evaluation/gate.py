"""The gate: PROMOTE, HOLD or REJECT, with the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from msgspec.structs import replace as changed

from ..config import GateConfig
from ..models.rivals import RIVALS
from ..registry.verdict import Interval, Verdict
from .comparison_text import against_popularity, against_reference, version
from .metrics import Floats

CANDIDATE, CHAMPION = "candidate", "champion"
EARLIER = "earlier_"  # a version that was live before the champion; earlier_1 is the newest
POPULARITY = "popularity_"
ALL_TIME = "popularity_all_time"
DIGITS = 12  # means that agree in these digits are equal: the order of a sum may change the last bits


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
    """The mean of candidate - other, with the interval that the gate uses.

    Two imaginary users join the bootstrap, one for each of the largest differences that recalls can have, +1 and -1
    (the idea of Agresti and Coull 1998 for proportions). Hits are rare: a side with few expected hits may have none by
    chance, and then no resample of the real users contains one. docs/gate-rates.md has the error rates of the
    plain interval.

    Parameters
    ----------
    candidate, other : Recall@K of the same users, float64, shape (n_users,), at least one
    """
    differences = candidate - other
    guarded = paired_bootstrap(np.append(differences, [1.0, -1.0]), config)
    return changed(guarded, mean=float(differences.mean()))


def strongest_popularity(means: Mapping[str, float]) -> str:
    """The popularity with the largest mean; among equal ones: all-time, then windows from long to short, then decayed.

    Parameters
    ----------
    means : model -> mean Recall@K; holds one or more "popularity_..."
    """
    names = sorted((name for name in means if name.startswith(POPULARITY)), key=_simplicity)
    return _largest(names, means)


def _simplicity(popularity: str) -> tuple[int, int, str]:
    window = popularity.removeprefix(POPULARITY).removesuffix("d")
    if popularity == ALL_TIME:
        return 0, 0, popularity
    return (1, -int(window), popularity) if window.isdecimal() else (2, 0, popularity)


def best_reference(means: Mapping[str, float]) -> str | None:
    """The champion, or a version live before it that has a larger mean; among equal ones the newest."""
    names = _references(means)
    return _largest(names, means) if names else None


def reference_level(means: Mapping[str, float], config: GateConfig) -> float:
    """The level of the interval against the best reference: its tails are divided by the number of references."""
    return 1 - (1 - config.confidence_level) / max(1, len(_references(means)))


def _references(names: Iterable[str]) -> list[str]:
    """The champion, then the versions live before it, newest first."""
    earlier = sorted((name for name in names if name.startswith(EARLIER)), key=lambda name: int(name[len(EARLIER) :]))
    return [*([CHAMPION] if CHAMPION in names else []), *earlier]


def _largest(names: Iterable[str], means: Mapping[str, float]) -> str:
    """The first name with the largest mean."""
    return max(names, key=lambda name: round(means[name], DIGITS))


def decide(recalls: Mapping[str, Floats], top_k: int, config: GateConfig) -> Verdict:
    """Judge the candidate against the strongest popularity, the rivals, and the best recent version if there is one.

    Parameters
    ----------
    recalls : model -> Recall@K of each judged user, float64, shape (n_users,); holds "candidate", one or more
        "popularity_...", the `RIVALS` that were fitted, and "champion" and "earlier_..." where they could be judged on
        a holdout that they had not seen

    Popularity and reference are chosen on the holdout itself, which favours them over the candidate. With the champion
    as the only reference, tolerated losses would add up over promotions.
    """
    means = {name: float(values.mean()) for name, values in recalls.items()}
    baseline, reference = strongest_popularity(means), best_reference(means)
    candidate = recalls[CANDIDATE]
    level = reference_level(means, config)
    beside = replace(config, confidence_level=level)
    champion = paired_interval(candidate, recalls[CHAMPION], config) if CHAMPION in recalls else None
    found = Verdict(
        decision="PROMOTE",
        reasons=[],
        n_users=len(candidate),
        top_k=top_k,
        baseline=baseline,
        candidate_recall=means[CANDIDATE],
        baseline_recall=means[baseline],
        relative_lift=means[CANDIDATE] / means[baseline] - 1 if means[baseline] else None,
        against_popularity=paired_interval(candidate, recalls[baseline], config),
        champion_recall=means.get(CHAMPION),
        against_champion=champion,
        reference=reference,
        reference_recall=means[reference] if reference else None,
        against_reference=paired_interval(candidate, recalls[reference], beside) if reference else None,
        reference_level=level if reference else None,
        rivals={name: paired_interval(candidate, recalls[name], config) for name in RIVALS if name in recalls},
        thresholds=config,
    )
    rejected, held = _objections(found, config)
    if rejected or held:
        return changed(found, decision="REJECT" if rejected else "HOLD", reasons=rejected + held)
    better = against_popularity(baseline, found.relative_lift, config.confidence_level)
    return changed(found, reasons=[*_beside_reference(found), better])


def _beside_reference(found: Verdict) -> list[str]:
    interval, recall = found.against_reference, found.reference_recall
    if found.reference is None or interval is None or recall is None:
        return []
    return [against_reference(found.reference, recall=recall, mean=interval.mean, low=interval.low, high=interval.high)]


def _objections(found: Verdict, config: GateConfig) -> tuple[list[str], list[str]]:
    """Reasons to reject, and reasons to hold."""
    rejected, held = [], []
    against, lift, baseline = found.against_popularity, found.relative_lift, found.baseline
    enough = found.n_users >= config.min_users
    if not enough:
        held.append(f"too few users: {found.n_users:,} judged, min_users={config.min_users:,}")
    elif against.high < 0:
        rejected.append(f"worse than {baseline}: the interval ({against.low:+.4f}, {against.high:+.4f}) lies below 0")
    elif not against.low > 0:  # also if it is NaN
        held.append(
            f"not enough evidence against {baseline}: the interval ({against.low:+.4f}, {against.high:+.4f}) includes 0"
        )
    elif lift is not None and lift < config.min_relative_lift:
        held.append(f"lift {lift:+.1%} over {baseline}, min_relative_lift={config.min_relative_lift:.1%}")
    if enough:
        rejected += [
            f"worse than {name}: the interval ({each.low:+.4f}, {each.high:+.4f}) lies below 0"
            for name, each in found.rivals.items()
            if each.high < 0
        ]
    versus, recall = found.against_reference, found.reference_recall
    if versus is None or not recall or not found.reference:
        return rejected, held
    if versus.mean < -config.champion_tolerance * recall:
        who = version(found.reference)
        loss = f"{-versus.mean / recall:.1%} below it, champion_tolerance={config.champion_tolerance:.1%}"
        if enough and versus.high < 0:
            rejected.append(f"worse than {who}: {loss}")
        else:
            held.append(f"perhaps worse than {who}: {loss}")
    return rejected, held
