"""All parameters of each DAG, and the check of given values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .definition import Parameter, Section, parameters_of
from .kinds import similar
from .of_batch import BatchConfig
from .of_data import EncodeConfig, ParseConfig, QualityConfig
from .of_judging import EvaluateConfig, GateConfig
from .of_models import KnnConfig, ModelConfig, PopularityConfig, PriorConfig, TrainConfig
from .of_registry import RegistryOptions
from .of_run import RunConfig
from .of_search import TuneConfig
from .shown import SHOWN_CHARS, shown_value

PAGE = "docs/parameters.md"
MOST_UNKNOWN = 20

Parameters = Mapping[str, Parameter]


def _named(*sections: type[Section]) -> dict[str, Parameter]:
    return {each.name: each for section in sections for each in parameters_of(section)}


# The parameters of the model and of its judgement: a search starts from them.
_BASE = (ParseConfig, EncodeConfig, ModelConfig, TrainConfig, KnnConfig, PriorConfig, EvaluateConfig)
# In the order of the form.
_DATA = (ParseConfig, QualityConfig, EncodeConfig)
_MODELS = (ModelConfig, TrainConfig, KnnConfig, PriorConfig, PopularityConfig)
_JUDGING = (EvaluateConfig, GateConfig)
RUN: Parameters = _named(RunConfig)
RETRAIN: Parameters = _named(RunConfig, *_DATA, *_MODELS, *_JUDGING)
TUNE: Parameters = {name: RUN[name] for name in ("snapshot", "as_of")} | _named(TuneConfig, *_BASE)
BATCH: Parameters = {"channel": RUN["channel"]} | _named(BatchConfig)
REGISTRY: Parameters = {"channel": RUN["channel"]} | _named(RegistryOptions)


def problems(given: Mapping[str, Any], known: Parameters) -> list[str]:
    """Problems: every unknown name, and every value that is not allowed."""
    wrong = (known[name].problem(value) for name, value in given.items() if name in known)
    return unknown(given, known) + [problem for problem in wrong if problem]


def unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """One line for each unknown name, with the most similar parameter."""
    known = list(known)
    strange = sorted(set(names) - set(known))
    found = [f"{_cut(name)}: there is no such parameter{_near(name, known)}" for name in strange[:MOST_UNKNOWN]]
    left = len(strange) - len(found)
    return [*found, f"and {left:,} more names that are no parameters"] if left else found


def _cut(name: str) -> str:
    return name if len(name) <= SHOWN_CHARS else shown_value(name)


def _near(name: str, known: list[str]) -> str:
    near = similar(name, known)
    return f"; did you mean {near}? {PAGE} lists all" if near else f"; {PAGE} lists all"
