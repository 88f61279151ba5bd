"""The configuration of a retraining and of a search: frozen value objects, built once at the edge.

Nothing below the edge reads the environment. Each field is defined in `parameters`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from .errors import ConfigError, DataError
from .parameters.definition import REMEDY, ParameterValue, Section
from .parameters.of_data import EncodeConfig, ParseConfig, QualityConfig
from .parameters.of_judging import EvaluateConfig, GateConfig
from .parameters.of_models import KnnConfig, ModelConfig, PopularityConfig, PriorConfig, TrainConfig
from .parameters.of_search import TuneConfig
from .parameters.shown import shown_value

__all__ = [
    "EncodeConfig",
    "EvaluateConfig",
    "GateConfig",
    "KnnConfig",
    "ModelConfig",
    "ParseConfig",
    "PopularityConfig",
    "PriorConfig",
    "QualityConfig",
    "RetrainConfig",
    "TrainConfig",
    "TuneConfig",
]


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """Everything one retraining depends on besides its data."""

    parse: ParseConfig = field(default_factory=ParseConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    knn: KnnConfig = field(default_factory=KnnConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    popularity: PopularityConfig = field(default_factory=PopularityConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    gate: GateConfig = field(default_factory=GateConfig)

    def as_dict(self) -> dict[str, dict[str, ParameterValue]]:
        """The configuration as plain JSON values."""
        plain: dict[str, dict[str, ParameterValue]] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, body: Mapping[str, Any], where: str) -> RetrainConfig:
        """Read what `as_dict` wrote. It is complete, or refused.

        Parameters
        ----------
        where : what holds it, for the message

        Raises
        ------
        DataError
            Every section and field that is missing, unknown or not allowed.
        """
        sections = _sections()
        problems = [f"{where}: {name} is missing. {REMEDY}" for name in sections if name not in body]
        problems += [f"{where}: {shown_value(name)} is unknown. {REMEDY}" for name in body if name not in sections]
        read: dict[str, Any] = {}
        for name in sections:
            if name not in body:
                continue
            try:
                read[name] = sections[name].stored(body[name], where)
            except DataError as error:
                problems.append(str(error))
        if problems:
            raise DataError("\n".join(problems))
        return cls(**read)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> RetrainConfig:
        """Build all configs from flat parameters; absent ones keep their defaults.

        Raises
        ------
        ConfigError
            Every value that is not allowed, by the name of its parameter.
        """
        problems: list[str] = []
        read: dict[str, Any] = {}
        for name, section in _sections().items():
            try:
                read[name] = section.read(params)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        return cls(**read)


def _sections() -> dict[str, type[Section]]:
    """The sections of a retraining, by the names of their fields."""
    return get_type_hints(RetrainConfig)
