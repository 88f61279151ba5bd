"""What is searched, and between which bounds. Parameters have the names of the trigger form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import Knob, RetrainConfig, knobs, shown_value
from ..errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Values = dict[str, float | int]


@dataclass(frozen=True)
class Range:
    """Inclusive bounds; `log` searches in equal steps of the logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


SPACE: Mapping[str, Range] = {
    "factors": Range(16, 192, log=True, whole=True),
    "regularization": Range(0.001, 100, log=True),
    "iterations": Range(5, 30, whole=True),
    "alpha": Range(5, 400, log=True),
    "half_life_days": Range(20, 2000, log=True),
    "age_floor": Range(0.001, 0.5, log=True),
    "verified_weight": Range(0.5, 2),
    "unverified_weight": Range(0.05, 1),
    "unknown_weight": Range(0.2, 1.5),
    "rating_weight": Range(0, 1),
    "min_user_interactions": Range(1, 4, whole=True),
    "min_item_interactions": Range(1, 8, whole=True),
    "prior_power": Range(0, 1.5),
    "prior_short_history": Range(0, 4),
    "prior_half_life_days": Range(5, 200, log=True),
}
# What is searched unless told otherwise. Not power and half-life of the prior: each training learns them anew, and a
# search would freeze what suited the past. The weight of unverified purchases only where there are both kinds.
ALWAYS = (
    "factors",
    "regularization",
    "alpha",
    "half_life_days",
    "prior_short_history",
)
WITH_BOTH_KINDS = "unverified_weight"
# Searched, either of them, they are both as the trial has them: what a training learns is the pair.
LEARNED = ("prior_power", "prior_half_life_days")


def chosen(search: Sequence[str] | None, both_kinds: bool) -> list[str]:
    """The parameters to search, in the order of SPACE; without a choice, those that matter most.

    Raises
    ------
    ConfigError
        A name that cannot be searched.
    """
    if not search:
        search = (*ALWAYS, WITH_BOTH_KINDS) if both_kinds else ALWAYS
    if isinstance(search, str) or not isinstance(search, Sequence) or len(search) > len(SPACE):
        raise ConfigError(
            f"search={shown_value(search)}: expected a list of at most {len(SPACE)} names among {', '.join(SPACE)}"
        )
    strange = [name for name in search if not isinstance(name, str) or name not in SPACE]
    if strange:
        raise ConfigError(f"search={shown_value(strange)}: cannot be searched; expected names among {', '.join(SPACE)}")
    return [name for name in SPACE if name in search]


def distributions(names: Sequence[str]) -> dict[str, BaseDistribution]:
    """The same for Optuna."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(space.low), int(space.high), log=space.log)
        if space.whole
        else FloatDistribution(space.low, space.high, log=space.log)
        for name, space in ((name, SPACE[name]) for name in names)
    }


def values_of(config: RetrainConfig, names: Sequence[str]) -> Values:
    """A configuration's values of the searched parameters."""
    return {each.param: getattr(getattr(config, each.section), each.field) for each in knobs() if each.param in names}


def inside(values: Mapping[str, Any]) -> bool:
    """Whether all values lie in what is searched."""
    return all(SPACE[name].low <= value <= SPACE[name].high for name, value in values.items())


def tunable() -> dict[str, Knob]:
    """The parameters that make a model what it is, by name: what a tuned configuration may hold."""
    apart = {"holdout_fraction", "seed", "warm_start", "warm_iterations"}
    return {
        each.param: each for each in knobs() if each.section in ("encode", "train", "prior") and each.param not in apart
    }


def differing(config: RetrainConfig) -> dict[str, Any]:
    """The values of a configuration, among those, that are not at their defaults."""
    found = {name: getattr(getattr(config, each.section), each.field) for name, each in tunable().items()}
    return {name: value for name, value in found.items() if value != tunable()[name].default}


def applied(config: RetrainConfig, values: Mapping[str, Any]) -> RetrainConfig:
    """A configuration with other values; a searched prior is not learned a second time."""
    flat = {each.param: getattr(getattr(config, each.section), each.field) for each in knobs()}
    if any(name in values for name in LEARNED):
        flat["fit_prior"] = False
    return RetrainConfig.from_params({**flat, **values})
