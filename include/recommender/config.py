"""The knobs of each stage: frozen value objects, built once at the edge.

Nothing below the edge reads the environment. `from_params` checks all parameters and reports every problem at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import ConfigError

MIB = 1 << 20


def knob(default: Any, description: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with its description and inclusive bounds; the trigger form shows them, `check` enforces."""
    return field(default=default, metadata={"description": description, "low": low, "high": high})


@dataclass(frozen=True)
class ParseConfig:
    """How review files become interactions."""

    max_bad_share: float = knob(0.01, "Largest share of unusable lines before the parse fails", low=0.0, high=1.0)
    max_line_bytes: int = knob(4 * MIB, "Longest review line in bytes; a longer one is quarantined", low=1024)
    max_expansion: float = knob(
        300.0, "Largest ratio of unpacked to packed bytes of a gzip file (a bomb guard)", low=2.0
    )


@dataclass(frozen=True)
class EncodeConfig:
    """How interactions become a confidence matrix and a holdout."""

    holdout_fraction: float = knob(
        0.1, "Share of the newest interactions before as_of held out for judging", low=0.0, high=0.5
    )
    min_user_interactions: int = knob(1, "Train users with fewer interactions are left out", low=1)
    min_item_interactions: int = knob(1, "Train items with fewer interactions are left out", low=1)
    alpha: float = knob(20.0, "Confidence of an interaction is 1 + alpha * weight", low=0.0, high=10_000.0)
    verified_weight: float = knob(1.0, "Weight of a verified purchase", low=0.0, high=100.0)
    unverified_weight: float = knob(0.5, "Weight of a review without a verified purchase", low=0.0, high=100.0)
    unknown_weight: float = knob(
        0.8, "Weight where the layout does not say whether it was verified", low=0.0, high=100.0
    )
    half_life_days: float = knob(
        180.0, "Age, counted back from the cut, at which a weight has halved; 0 turns ageing off", low=0.0
    )


@dataclass(frozen=True)
class TrainConfig:
    """Alternating least squares."""

    factors: int = knob(64, "Length of a factor vector", low=1, high=1024)
    regularization: float = knob(0.05, "L2 regularization of the factors", low=0.0, high=1000.0)
    iterations: int = knob(15, "ALS sweeps over users and items", low=1, high=500)
    seed: int = knob(20_181, "Seed of the initial factors", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class PopularityConfig:
    """The opponents: all-time, recent windows and decayed counts."""

    windows_days: tuple[int, ...] = (30, 90, 365)
    half_life_days: float = knob(90.0, "Half-life in days of the decayed popularity", low=0.1)


@dataclass(frozen=True)
class EvaluateConfig:
    """Who is judged, at which K."""

    top_k: int = knob(10, "K of the Recall@K that the gate decides on", low=1, high=100)
    max_users: int = knob(50_000, "Holdout users judged at most (a seeded sample of them); 0 takes all", low=0)
    seed: int = knob(7, "Seed of the sample of users", low=0, high=2**31 - 1)

    @property
    def ks(self) -> tuple[int, ...]:
        """The K of all tables, with `top_k` among them."""
        return tuple(sorted({5, 10, 20, 50, self.top_k}))


@dataclass(frozen=True)
class GateConfig:
    """What it takes to be promoted."""

    confidence_level: float = knob(0.95, "Level of the paired bootstrap interval", low=0.5, high=0.999)
    resamples: int = knob(10_000, "Bootstrap resamples", low=1000, high=1_000_000)
    min_relative_lift: float = knob(
        0.05, "Relative lift of Recall@K over the strongest popularity that is asked for", low=0.0, high=10.0
    )
    min_users: int = knob(100, "Fewer judged users than this is no evidence: HOLD", low=1)
    champion_tolerance: float = knob(
        0.05, "Relative loss of Recall@K against the champion that is still accepted", low=0.0, high=1.0
    )
    seed: int = knob(11, "Seed of the bootstrap", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class RetrainConfig:
    """Everything one retraining depends on besides its data."""

    parse: ParseConfig = ParseConfig()
    encode: EncodeConfig = EncodeConfig()
    train: TrainConfig = TrainConfig()
    popularity: PopularityConfig = PopularityConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    gate: GateConfig = GateConfig()

    def as_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return dataclasses.asdict(self)


T = TypeVar("T")


def from_params(cls: type[T], params: Mapping[str, Any], rename: Mapping[str, str] | None = None) -> T:
    """Build one config object from flat parameters.

    Parameters
    ----------
    cls : one of the config dataclasses of this module
    params : parameter name -> value; names the class does not know are ignored
    rename : field name -> parameter name, where they differ

    Raises
    ------
    ConfigError
        Every value that has the wrong type or lies outside its bounds, by parameter name.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        name = (rename or {}).get(item.name, item.name)
        if name not in params or params[name] is None:
            continue
        problem = check(name, params[name], item.default, item.metadata)
        if problem:
            problems.append(problem)
        else:
            values[item.name] = _coerce(item.default, params[name])
    if problems:
        raise ConfigError(problems)
    return cls(**values)


def check(name: str, value: Any, default: Any, bounds: Mapping[str, Any]) -> str | None:
    """What is wrong with one value, or None."""
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        return None if isinstance(value, type(default)) else f"{name}={value!r}: expected {type(default).__name__}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{name}={value!r}: expected a finite number"
    if isinstance(default, int) and value != int(value):
        return f"{name}={value!r}: expected a whole number"
    low, high = bounds.get("low"), bounds.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        return f"{name}={value!r}: expected {_interval(low, high)}"
    return None


def _interval(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low:g}"
    return f"a value from {low:g} to {high:g}" if low is not None else f"at most {high:g}"


def _coerce(default: Any, value: Any) -> Any:
    kind: type[Any] = type(default)
    return kind(value)
