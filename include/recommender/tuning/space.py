"""The search space: parameters, by the names of the trigger form, and their bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config import RetrainConfig
from ..errors import ConfigError
from ..parameters import RETRAIN, RUN, TUNE, Parameter
from ..parameters.definition import ParameterValue
from ..parameters.kinds import Whole
from ..parameters.of_search import ALWAYS, SPACE, WITH_BOTH_KINDS

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Values = dict[str, float | int]

# If one of them is searched, the trial sets both: a training learns them as a pair.
LEARNED = ("prior_power", "prior_half_life_days")


def chosen(search: Sequence[str] | None, both_kinds: bool) -> list[str]:
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


def distributions(names: Sequence[str]) -> dict[str, BaseDistribution]:
    """The search space as Optuna distributions."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(space.low), int(space.high), log=space.log)
        if isinstance(RETRAIN[name].kind, Whole)
        else FloatDistribution(space.low, space.high, log=space.log)
        for name, space in ((name, SPACE[name]) for name in names)
    }


def values_of(config: RetrainConfig, names: Sequence[str]) -> Values:
    """A configuration's values of the searched parameters."""
    return {name: value for name, value in _flat(config).items() if name in names}


def inside(values: Mapping[str, Any]) -> bool:
    """Whether all values lie within the search space."""
    return all(SPACE[name].low <= value <= SPACE[name].high for name, value in values.items())


def tunable() -> dict[str, Parameter]:
    """The parameters that a tuned configuration may hold, by name: those that change the model."""
    apart = {"holdout_fraction", "seed", "warm_start", "warm_iterations"}
    shaping = ("encode", "train", "prior")
    return {name: each for name, each in RETRAIN.items() if each.section in shaping and name not in apart}


def differing(config: RetrainConfig) -> dict[str, ParameterValue]:
    """The tunable values of a configuration that differ from their defaults."""
    known = tunable()
    return {name: value for name, value in _flat(config).items() if name in known and value != known[name].default}


def applied(config: RetrainConfig, values: Mapping[str, Any]) -> RetrainConfig:
    """A configuration with other values; a searched prior is not learned again."""
    flat = _flat(config)
    if any(name in values for name in LEARNED):
        flat["fit_prior"] = False
    return RetrainConfig.from_params({**flat, **values})


def _flat(config: RetrainConfig) -> dict[str, Any]:
    """The values of a configuration by the names of their parameters."""
    return {
        name: getattr(getattr(config, each.section), each.field) for name, each in RETRAIN.items() if name not in RUN
    }
