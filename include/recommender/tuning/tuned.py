"""Tuned configurations in the store: `tuned/<id>.json`, immutable, and how a retraining finds one."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import DataError, NotFound, PreconditionFailed
from ..storage.artifacts import canonical_hash
from ..storage.objects import ObjectStore
from .space import LEARNED, tunable

log = logging.getLogger(__name__)

FOLDER = "tuned"
NEWEST = "newest"
# 1: from before old interactions kept a floor and the half-life of the prior was learned: no longer to be made.
FORMAT = 2


def write_tuned(objects: ObjectStore, as_of: datetime, body: Mapping[str, Any]) -> str:
    """Keep a configuration for good; return its id, `<date of as_of>-<hash of its values and evidence>`.

    Parameters
    ----------
    body : `values` (parameter -> value), `better`, and the evidence; the same body has the same id
    """
    defaults = {name: each.default for name, each in tunable().items()}
    whole = {"format": FORMAT, "as_of": as_of.isoformat(), "defaults": defaults, **body}
    name = f"{as_of.astimezone(UTC):%Y%m%d}-{canonical_hash({**whole, 'run': None})[:12]}"
    raw = json.dumps({"id": name, **whole}, indent=1, sort_keys=True).encode()
    try:
        objects.write(f"{FOLDER}/{name}.json", raw, create_only=True)
    except PreconditionFailed:
        read_tuned(objects, name)  # an earlier try of this task wrote it
    return name


def read_tuned(objects: ObjectStore, name: str) -> dict[str, Any]:
    """A tuned configuration by its id; its `values` are those at which it differs from the defaults of this code.

    The defaults may have changed since. What the search did not vary is then what it was, not what it became.

    Raises
    ------
    NotFound
        There is none of this id; the message names those that there are.
    DataError
        The file is damaged, or of another format.
    """
    key = f"{FOLDER}/{name}.json"
    try:
        raw = objects.read(key)
    except NotFound:
        known = ", ".join(list_tuned(objects)[-5:]) or "none yet: run recommender_tune first"
        raise NotFound(f"tuned={name}: {objects.uri(key)} is not there. The newest there are: {known}") from None
    try:
        body: dict[str, Any] = json.loads(raw)
        if body["format"] != FORMAT:
            raise DataError(
                f"{objects.uri(key)}: format {body['format']}, this code reads format {FORMAT}. The models of another "
                "format are not those that this code trains: run recommender_tune again"
            )
        datetime.fromisoformat(body["as_of"])
        there = tunable()
        # One that is gone was at its default, and there is nothing left to set.
        then = {
            name: value for name, value in body["defaults"].items() if name in there and value != there[name].default
        }
        body["values"] = {**then, **body["values"]}
        problems = [_problem(parameter, value) for parameter, value in body["values"].items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{objects.uri(key)}: not a tuned configuration ({type(error).__name__}: {error})") from error
    if any(problems):
        raise DataError(f"{objects.uri(key)}: {'; '.join(problem for problem in problems if problem)}")
    return body


def _problem(parameter: str, value: Any) -> str | None:
    known = tunable().get(parameter)
    return known.problem(value) if known else f"{parameter} is no parameter of a tuned configuration"


def list_tuned(objects: ObjectStore) -> list[str]:
    """All ids, the oldest as_of first."""
    names = [row.key.removeprefix(f"{FOLDER}/") for row in objects.walk(f"{FOLDER}/")]
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json") and "/" not in name)


def newest_tuned(objects: ObjectStore, as_of: datetime) -> dict[str, Any] | None:
    """The newest configuration that was better than the defaults, and knew nothing at or after `as_of`'s future.

    So a backfill over the past takes what was known then. A file that is damaged is passed over, and named in the log.
    """
    limit = f"{as_of.astimezone(UTC):%Y%m%d}"
    for name in reversed(list_tuned(objects)):
        if name[:8] > limit:
            continue
        try:
            body = read_tuned(objects, name)
        except DataError as error:
            log.warning("Passed over: %s", error)
            continue
        if body["better"] and datetime.fromisoformat(body["as_of"]) <= as_of:
            return body
    return None


def resolve_tuned(objects: ObjectStore, wanted: str | None, as_of: datetime) -> dict[str, Any] | None:
    """What the parameter `tuned` means: nothing, "newest", or an id.

    Raises
    ------
    NotFound, DataError
        There is no such configuration, or it is damaged.
    """
    if not wanted:
        return None
    return newest_tuned(objects, as_of) if wanted == NEWEST else read_tuned(objects, wanted)


def with_tuned(params: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters with the tuned values in the place of defaults; and those that were taken.

    A parameter that is not at its default was set by somebody, and wins.
    """
    known = tunable()
    taken = {
        name: value
        for name, value in body["values"].items()
        if params.get(name) is None or params[name] == known[name].default
    }
    if any(name in body["values"] and name not in taken for name in LEARNED):
        taken.pop("fit_prior", None)  # it speaks of the tuned prior, not of the one that a person set
    return {**params, **taken}, taken
