"""The knobs of each stage: frozen value objects, built once at the edge.

Nothing below the edge reads the environment. `RetrainConfig.from_params` checks all parameters and reports every
problem at once; `knobs` lists them for the trigger form.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import ConfigError

MIB = 1 << 20
LEAST_BEYOND = 100  # resamples beyond an end of the gate's interval
# A century: older than any review, and ages stay far within a float.
MOST_DAYS = 36_500
MOST_COUNT = 2**31 - 1
MOST_WINDOWS = 20
SHOWN_CHARS = 40


def knob(
    default: Any, description: str, *, low: float | None = None, high: float | None = None, param: str | None = None
) -> Any:
    """A dataclass field with its description and inclusive bounds; the trigger form shows them, `check` enforces.

    `param` is the parameter's name where the field's own would not be unique.
    """
    return field(default=default, metadata={"description": description, "low": low, "high": high, "param": param})


@dataclass(frozen=True)
class ParseConfig:
    """How review files become interactions."""

    max_bad_share: float = knob(0.01, "Largest share of unusable lines before the parse fails", low=0.0, high=1.0)
    max_line_bytes: int = knob(
        4 * MIB, "Longest review line in bytes; a longer one is quarantined", low=1024, high=64 * MIB
    )
    max_expansion: float = knob(
        300.0, "Largest ratio of unpacked to packed bytes of a gzip file (a bomb guard)", low=2.0, high=10_000.0
    )


@dataclass(frozen=True)
class QualityConfig:
    """How far a snapshot may differ from the one before it."""

    check_quality: bool = knob(True, "Stop where the snapshot has collapsed against the one before it")
    max_drop: float = knob(
        0.2, "Largest share of reviews, users, items or time range that may be gone", low=0.0, high=1.0
    )
    max_share_shift: float = knob(0.1, "Largest shift of the verified share and of the rating mix", low=0.0, high=1.0)
    max_bad_rise: float = knob(0.005, "Largest rise of the share of bad lines", low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """How interactions become a confidence matrix and a holdout."""

    holdout_fraction: float = knob(
        0.1, "Share of the newest interactions before as_of held out for judging", low=0.001, high=0.5
    )
    min_user_interactions: int = knob(1, "Train users with fewer interactions are left out", low=1, high=1_000_000)
    min_item_interactions: int = knob(1, "Train items with fewer interactions are left out", low=1, high=1_000_000)
    alpha: float = knob(100.0, "Confidence of an interaction is 1 + alpha * weight", low=0.0, high=10_000.0)
    verified_weight: float = knob(1.0, "Weight of a verified purchase", low=0.0, high=100.0)
    unverified_weight: float = knob(0.5, "Weight of a review without a verified purchase", low=0.0, high=100.0)
    unknown_weight: float = knob(
        0.8, "Weight where the layout does not say whether it was verified", low=0.0, high=100.0
    )
    rating_weight: float = knob(
        0.0,
        "How much a rating counts: the weight times 1 + rating_weight * (rating - 3) / 2; 0: not",
        low=0.0,
        high=1.0,
    )
    half_life_days: float = knob(
        120.0,
        "Age, counted back from the cut, at which a weight has halved, above age_floor; 0: nothing ages",
        low=0.0,
        high=MOST_DAYS,
    )
    age_floor: float = knob(
        0.02,
        "Share of its weight that an interaction keeps, however old it is; without ageing it keeps all",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Alternating least squares."""

    factors: int = knob(64, "Length of a factor vector", low=1, high=1024)
    regularization: float = knob(20.0, "L2 regularization of the factors", low=1e-9, high=1000.0)
    iterations: int = knob(15, "ALS sweeps over users and items", low=1, high=500)
    seed: int = knob(20_181, "Seed of the initial factors", low=0, high=2**31 - 1)
    warm_start: bool = knob(
        False, "Begin with the champion's factors where they have not seen the holdout, and refit from the candidate's"
    )
    warm_iterations: int = knob(5, "ALS sweeps after a warm start", low=1, high=500)


@dataclass(frozen=True)
class PriorConfig:
    """How recent popularity enters the score: taste times (prior of the item)^power."""

    power: float = knob(
        0.2, "Power of the item prior in the score; 0: taste alone", low=0.0, high=4.0, param="prior_power"
    )
    fit: bool = knob(
        True,
        "Learn power and half-life, near the configured ones, on a time split inside the train part",
        param="fit_prior",
    )
    short_history: float = knob(
        1.0,
        "How much more the prior weighs for short histories: the power is times 1 + this / number of interactions",
        low=0.0,
        high=20.0,
        param="prior_short_history",
    )
    half_life_days: float = knob(
        30.0,
        "Half-life in days of the decayed popularity that is the item prior",
        low=0.1,
        high=MOST_DAYS,
        param="prior_half_life_days",
    )


# How models score that were made before there was a prior.
NO_PRIOR: Mapping[str, Any] = {"power": 0.0, "fit": False}


@dataclass(frozen=True)
class PopularityConfig:
    """The opponents: all-time, recent windows and decayed counts."""

    windows_days: tuple[int, ...] = knob(
        (30, 90, 365), "Windows of recent popularity, in days before the cut", low=1, high=MOST_DAYS
    )
    half_life_days: float = knob(
        90.0, "Half-life in days of the decayed popularity", low=0.1, high=MOST_DAYS, param="popularity_half_life_days"
    )


@dataclass(frozen=True)
class EvaluateConfig:
    """Who is judged, at which K."""

    top_k: int = knob(10, "K of the Recall@K that the gate decides on", low=1, high=100)
    max_users: int = knob(
        50_000, "Holdout users judged at most (a seeded sample of them); 0 takes all", low=0, high=MOST_COUNT
    )
    seed: int = knob(7, "Seed of the sample of users", low=0, high=2**31 - 1, param="sample_seed")

    @property
    def ks(self) -> tuple[int, ...]:
        """The K of all tables, with `top_k` among them."""
        return tuple(sorted({5, 10, 20, 50, self.top_k}))


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What it takes to be promoted. docs/gate-rates.md has for which values its error rates were simulated."""

    confidence_level: float = knob(0.95, "Level of the paired bootstrap interval", low=0.5, high=0.999)
    resamples: int = knob(10_000, "Bootstrap resamples", low=10_000, high=1_000_000)
    min_relative_lift: float = knob(
        0.05, "Relative lift of Recall@K over the strongest popularity that is asked for", low=0.0, high=10.0
    )
    min_users: int = knob(100, "Fewer judged users than this is no evidence: HOLD", low=1, high=MOST_COUNT)
    champion_tolerance: float = knob(
        0.05, "Relative loss of Recall@K against the champion that is still accepted", low=0.0, high=1.0
    )
    seed: int = knob(11, "Seed of the bootstrap", low=0, high=2**31 - 1, param="bootstrap_seed")

    def problem(self) -> str | None:
        """What is wrong with the values together: too few resamples lie beyond an end of a very sure interval.

        This is about the interval over popularity. The one against the best of several versions is surer, so fewer
        resamples lie beyond its ends; it decides between HOLD and REJECT only.
        """
        tail = (1 - self.confidence_level) / 2
        least = math.ceil(round(LEAST_BEYOND / tail, 6))
        if self.resamples >= least:
            return None
        return (
            f"resamples={self.resamples}: expected at least {least} at confidence_level={self.confidence_level:g}, so "
            f"that {LEAST_BEYOND} of them lie beyond each end of the interval; or a lower confidence_level"
        )


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """Everything one retraining depends on besides its data."""

    parse: ParseConfig = ParseConfig()
    quality: QualityConfig = QualityConfig()
    encode: EncodeConfig = EncodeConfig()
    train: TrainConfig = TrainConfig()
    prior: PriorConfig = PriorConfig()
    popularity: PopularityConfig = PopularityConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    gate: GateConfig = GateConfig()

    def as_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> RetrainConfig:
        """Read what `as_dict` wrote; what it did not know yet keeps its default, what is gone since is ignored.

        A model that was made before there was an item prior scores without one, and old interactions could fade away.
        """
        body = {"prior": NO_PRIOR, **body}
        if "fit_power" in body["prior"]:  # its name when only the power was learned
            body["prior"] = {"fit": body["prior"]["fit_power"], **body["prior"]}
        body = {**body, "encode": {"age_floor": 0.0, **body.get("encode", {})}}
        flat = {
            each.param: body[each.section][each.field] for each in knobs() if each.field in body.get(each.section, {})
        }
        return cls.from_params(flat)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> RetrainConfig:
        """Build all configs from flat parameters; absent or null ones keep their defaults.

        Raises
        ------
        ConfigError
            Every value that has the wrong type or lies outside its bounds, by parameter name.
        """
        problems: list[str] = []
        values: dict[str, dict[str, Any]] = {}
        for each in knobs():
            value = params.get(each.param)
            if value is None:
                continue
            problem = each.problem(value)
            if problem:
                problems.append(problem)
            else:
                values.setdefault(each.section, {})[each.field] = each.coerce(value)
        base = cls()
        config = replace(base, **{name: replace(getattr(base, name), **given) for name, given in values.items()})
        problems += filter(None, [config.gate.problem()])
        if problems:
            raise ConfigError(problems)
        return config


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """How a configuration is searched for."""

    trials: int = knob(30, "Configurations to try, the defaults among them", low=2, high=500)
    trials_per_round: int = knob(
        6, "Configurations that are asked for at once; fewer learn more from each other", low=1, high=64
    )
    cuts: int = knob(
        3,
        "Points in time inside train at which trials are judged; one more confirms the winner",
        low=1,
        high=12,
    )
    min_coverage: float = knob(
        0.5, "Least coverage of a winner, as a share of the defaults' coverage", low=0.0, high=1.0
    )
    confirm_level: float = knob(
        0.8,
        "Level at which the newest cut confirms what the cuts of the search say; above 0.95 also that of its own word",
        low=0.5,
        high=0.999,
    )
    level: float = knob(
        0.9,
        "A trial is stopped early when its interval at this level lies below the best so far",
        low=0.5,
        high=0.999,
        param="pruning_level",
    )
    seed: int = knob(5, "Seed of the search", low=0, high=2**31 - 1, param="search_seed")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TuneConfig:
        """Build it from flat parameters; absent or null ones keep their defaults. Raises ConfigError."""
        given = {each.param: each for each in tune_knobs() if params.get(each.param) is not None}
        problems = [each.problem(params[name]) for name, each in given.items()]
        if any(problems):
            raise ConfigError([problem for problem in problems if problem])
        return cls(**{each.field: each.coerce(params[name]) for name, each in given.items()})


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One parameter of a retraining: where it goes, its default and its inclusive bounds."""

    section: str
    field: str
    param: str
    default: Any
    description: str
    low: float | None
    high: float | None

    @property
    def is_flag(self) -> bool:
        """Whether the value is true or false."""
        return isinstance(self.default, bool)

    @property
    def is_list(self) -> bool:
        """Whether the value is a list of numbers."""
        return isinstance(self.default, tuple)

    @property
    def is_whole(self) -> bool:
        """Whether the value (or each value of a list) is a whole number."""
        return isinstance(self.default[0] if self.is_list else self.default, int)

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, or None."""
        if self.is_flag:
            return None if isinstance(value, bool) else f"{self.param}={shown_value(value)}: expected true or false"
        if not self.is_list:
            return self._number_problem(value)
        if not isinstance(value, (list, tuple)) or not value:
            return f"{self.param}={shown_value(value)}: expected a list of one or more numbers"
        if len(value) > MOST_WINDOWS:
            return f"{self.param}: {len(value)} numbers, expected at most {MOST_WINDOWS}"
        return next(filter(None, map(self._number_problem, value)), None)

    def _number_problem(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            return f"{self.param}={shown_value(value)}: expected a finite number"
        if self.is_whole and value != int(value):
            return f"{self.param}={shown_value(value)}: expected a whole number"
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            return f"{self.param}={shown_value(value)}: expected {_interval(self.low, self.high)}"
        return None

    def coerce(self, value: Any) -> Any:
        """The value in the type of the default."""
        if self.is_flag:
            return value
        kind: type[Any] = int if self.is_whole else float
        return tuple(sorted({kind(each) for each in value})) if self.is_list else kind(value)


def knobs() -> list[Knob]:
    """All parameters of a retraining, section by section."""
    base = RetrainConfig()
    return [
        knob for section in dataclasses.fields(base) for knob in _knobs_of(section.name, getattr(base, section.name))
    ]


def tune_knobs() -> list[Knob]:
    """The parameters of a search."""
    return _knobs_of("tune", TuneConfig())


def _knobs_of(section: str, config: Any) -> list[Knob]:
    found = []
    for item in dataclasses.fields(config):
        about = item.metadata
        name = about["param"] or item.name
        found.append(
            Knob(
                section=section,
                field=item.name,
                param=name,
                default=item.default,
                description=about["description"],
                low=about["low"],
                high=about["high"],
            )
        )
    return found


def shown_value(value: Any) -> str:
    """A value for a message, whatever it is: cut where it is long."""
    if isinstance(value, int) and abs(value) >= 10**SHOWN_CHARS:
        return f"a whole number of about 2^{value.bit_length()}"  # Python refuses to write thousands of digits
    if isinstance(value, str):
        return repr(value) if len(value) <= SHOWN_CHARS else f"{value[:SHOWN_CHARS]!r}... ({len(value):,} characters)"
    if isinstance(value, (list, tuple)):
        nested = (list, tuple, dict)
        first = ", ".join("..." if isinstance(each, nested) else shown_value(each) for each in value[:3])
        return f"[{first}]" if len(value) <= 3 else f"[{first}, ...] ({len(value):,} values)"
    text = repr(value) if not isinstance(value, dict) else f"an object of {len(value)} keys"
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def _interval(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low:g}"
    return f"a value from {low:g} to {high:g}" if low is not None else f"at most {high:g}"
