"""The search space: parameters, by the names of the trigger form, and the values that are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config import RetrainConfig
from ..errors import ConfigError
from ..parameters import RETRAIN, RUN, TUNE, Parameter
from ..parameters.definition import OneOf, ParameterValue
from ..parameters.kinds import Whole
from ..parameters.of_models import ALS, BLEND, EASE
from ..parameters.of_search import ALWAYS, SPACE, WITH_BOTH_KINDS

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = float | int | str
Values = dict[str, Value]

# Flag -> the parameters that a training chooses together. If one of them is searched, none of them is chosen.
CHOSEN: Mapping[str, tuple[str, ...]] = {
    "fit_family": ("family", "knn_weight"),
    "fit_similarity": ("knn_similarity",),
    "fit_factors": ("factors",),
    "fit_ageing": ("half_life_days",),
    "fit_prior": ("prior_power", "prior_half_life_days"),
}


def searched(search: Sequence[str] | None, both_kinds: bool) -> list[str]:
    """Return the parameters to search, in the order of `SPACE`; by default the most important ones.

    Raises
    ------
    ConfigError
        A name that cannot be searched.
    """
    if not search:
        search = (*ALWAYS, WITH_BOTH_KINDS) if both_kinds else ALWAYS
    problem = TUNE["search"].problem(search)
    if problem:
        raise ConfigError(problem)
    return [name for name in SPACE if name in search]


def check_read(names: Sequence[str], config: RetrainConfig) -> None:
    """Raise ConfigError if the model of a configuration does not read a searched parameter."""
    family = config.model.family
    unread = {"knn_weight"} if family != BLEND else set()
    if family == ALS and not config.model.fit_family:
        unread |= {"knn_neighbours", "knn_similarity", "ease_regularization"}
    wrong = [] if "family" in names else sorted(unread & set(names))
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)} searched, and family={family} does not read that. Search family too, or set "
            f"family={BLEND}."
        )
    learns = config.knn.similarity == EASE or config.model.fit_similarity or "knn_similarity" in names
    if "ease_regularization" in names and not learns:
        raise ConfigError(
            f"ease_regularization searched, and knn_similarity={config.knn.similarity} does not read that. Search "
            f"knn_similarity too, or set knn_similarity={EASE}."
        )


def distributions(names: Sequence[str]) -> dict[str, BaseDistribution]:
    """The search space as Optuna distributions."""
    return {name: _distribution(name) for name in names}


def _distribution(name: str) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space = SPACE[name]
    if isinstance(space, OneOf):
        return CategoricalDistribution(space.values)
    if isinstance(RETRAIN[name].kind, Whole):
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def values_of(config: RetrainConfig, names: Sequence[str]) -> Values:
    """A configuration's values of the searched parameters."""
    return {name: value for name, value in _flat(config).items() if name in names}


def inside(values: Mapping[str, Any]) -> bool:
    """Whether all values lie within the search space."""
    return all(SPACE[name].holds(value) for name, value in values.items())


def tunable() -> dict[str, Parameter]:
    """The parameters that a tuned configuration may hold, by name: those that change the model."""
    apart = {"holdout_fraction", "seed", "warm_start", "warm_iterations"}
    shaping = ("encode", "model", "train", "knn", "prior")
    return {name: each for name, each in RETRAIN.items() if each.section in shaping and name not in apart}


def differing(config: RetrainConfig) -> dict[str, ParameterValue]:
    """The tunable values of a configuration that differ from their defaults."""
    known = tunable()
    return {name: value for name, value in _flat(config).items() if name in known and value != known[name].default}


def applied(config: RetrainConfig, values: Mapping[str, Any]) -> RetrainConfig:
    """A configuration with other values; what is searched is not chosen again by the training.

    Raises
    ------
    ConfigError
        A value that is not allowed.
    """
    fixed = {flag: False for flag, names in CHOSEN.items() if not values.keys().isdisjoint(names)}
    return RetrainConfig.from_params({**_flat(config), **fixed, **values})


def value_text(value: object) -> str:
    """A value of a parameter, for a line of text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def values_text(values: Mapping[str, object]) -> str:
    """Values by name, for a line of text."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in values.items())


def _flat(config: RetrainConfig) -> dict[str, Any]:
    """The values of a configuration by the names of their parameters."""
    return {
        name: getattr(getattr(config, each.section), each.field) for name, each in RETRAIN.items() if name not in RUN
    }
