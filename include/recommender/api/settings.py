"""Settings of the API, from its environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..parameters import Parameter, parameters_of
from ..parameters.kinds import Flag
from ..parameters.of_api import ApiConfig
from ..storage.cache import cache_of

PREFIX = "RECOMMENDER_API_"
FLAGS = {"0": False, "1": True}


@dataclass(frozen=True)
class Settings:
    """What a server needs to know.

    root : of the registry, an S3 URI
    cache : folder of this project on a local disk
    """

    root: str
    cache: Path
    config: ApiConfig

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read and check the variables. Raises ConfigError with every problem."""
        known = {each.name: each for each in parameters_of(ApiConfig)}
        texts = {
            name.removeprefix(PREFIX).lower(): text for name, text in environment.items() if name.startswith(PREFIX)
        }
        given = {name: _parse(known[name], text) for name, text in texts.items() if name in known and text}
        problems = [_unknown(name, known) for name in sorted(texts.keys() - known.keys())]
        root = environment.get("RECOMMENDER_ROOT", "")
        if not root:
            problems.append("RECOMMENDER_ROOT is not set: expected s3://bucket or s3://bucket/prefix, as for the DAGs")
        try:
            config = ApiConfig.read(given)
            problems += _together(config)
        except ConfigError as error:
            problems += [_named(problem) for problem in error.problems]
        if problems:
            raise ConfigError(problems)
        return cls(root, cache_of(environment), config)


def _parse(about: Parameter, text: str) -> Any:
    return FLAGS.get(text, text) if isinstance(about.kind, Flag) else about.kind.parse(text)


def _named(problem: str) -> str:
    """A problem of a parameter, with the name of its variable."""
    name, _, rest = problem.partition("=")
    return f"{PREFIX}{name.upper()}={rest}"


def _unknown(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {PREFIX}{near[0].upper()}? " if near else ""
    return f"{PREFIX}{name.upper()}: there is no such setting; {hint}docs/api.md lists all"


def _together(config: ApiConfig) -> list[str]:
    problems = []
    if config.open == (config.keys_file is not None):
        problems.append(f"expected either {PREFIX}KEYS_FILE, or {PREFIX}OPEN=1 for an API without keys")
    if (config.second_channel is None) != (config.second_share == 0):
        problems.append(f"expected {PREFIX}SECOND_CHANNEL and {PREFIX}SECOND_SHARE above 0 together, or neither")
    if config.second_channel == config.channel:
        problems.append(f"{PREFIX}SECOND_CHANNEL is the channel that is served anyway; expected another one")
    return problems
