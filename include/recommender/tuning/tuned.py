"""Tuned configurations in the store, `tuned/<id>.json`, immutable; a retraining reads them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from ..errors import DataError, NotFound, PreconditionFailed
from ..parameters.definition import ParameterValue
from ..parameters.of_run import NEWEST_TUNED, TUNED_ID
from ..storage.artifacts import canonical_hash
from ..storage.documents import Origin, checked, instant_problem, parse_json, to_json
from ..storage.objects import ObjectStore
from .records import FORMAT, Evidence, Tuned
from .space import CHOSEN, tunable

log = logging.getLogger(__name__)

FOLDER = "tuned"
ID = re.compile(TUNED_ID)
REMEDY = "Move it away, and run recommender_tune again."


def write_tuned(
    objects: ObjectStore,
    as_of: datetime,
    values: Mapping[str, Any],
    evidence: Evidence,
    *,
    better: bool,
) -> str:
    """Store a configuration permanently; return its id, `<date of as_of>-<hash of its values and evidence>`.

    Parameters
    ----------
    values : parameter -> value that differs from the default; the same values and evidence have the same id
    better : whether it is better than the defaults
    """
    tuned = Tuned(
        id="",
        as_of=as_of.isoformat(),
        better=better,
        split_s=evidence.plan.split_s,
        defaults={name: each.default for name, each in tunable().items()},
        values=dict(values),
        evidence=evidence,
    )
    name = _id_of(json.loads(to_json(tuned)))
    try:
        objects.write(f"{FOLDER}/{name}.json", to_json(replace(tuned, id=name)), create_only=True)
    except PreconditionFailed:
        read_tuned(objects, name)  # an earlier try of this task wrote it
    return name


def read_tuned(objects: ObjectStore, name: str) -> Tuned:
    """Read a tuned configuration; its `values` are those that differ from the defaults of this code.

    The defaults may have changed since. Parameters that the search did not vary then keep their old defaults.

    Raises
    ------
    NotFound
        There is no configuration with this id; the message lists the newest ones.
    DataError
        The file is damaged or has another format.
    """
    key = f"{FOLDER}/{name}.json"
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise NotFound(f"tuned={ascii(name)[:80]}: expected an id such as 20180901-0123456789ab, or {NEWEST_TUNED}")
    try:
        raw = objects.read(key)
    except NotFound:
        known = ", ".join(list_tuned(objects)[-5:]) or "none yet: run recommender_tune first"
        raise NotFound(f"tuned={name}: {objects.uri(key)} is not there. The newest there are: {known}") from None
    return _parsed(raw, name, objects.uri(key))


def _parsed(raw: bytes, name: str, where: str) -> Tuned:
    """Parse a tuned configuration and check it against the requested id. Raises DataError."""
    body, origin = parse_json(raw, where, REMEDY), Origin(where, "a tuned configuration", REMEDY)
    if isinstance(body, dict) and body.get("format") != FORMAT:
        raise DataError(
            f"{where}: format {body.get('format')}, this code reads format {FORMAT}. The models of another "
            "format are not those that this code trains: run recommender_tune again"
        )
    found = checked(body, Tuned, origin)
    there = tunable()
    # A removed parameter had its default value, so it can be ignored.
    then = {
        parameter: value
        for parameter, value in found.defaults.items()
        if parameter in there and value != there[parameter].default
    }
    values = {**then, **found.values}
    problems = [instant_problem("as_of", found.as_of), *(_problem(*row) for row in values.items())]
    if found.id != name:
        problems.append(f"its id is {ascii(found.id)[:80]}")
    elif _id_of(body) != name:
        problems.append("its id is not that of its values and evidence: it was changed after it was written")
    if found.split_s != found.evidence.plan.split_s:
        problems.append("split_s is not that of its plan")
    if any(problems):
        raise origin.refusal([problem for problem in problems if problem])
    return replace(found, values=values)


def _id_of(body: Mapping[str, Any]) -> str:
    """`<date of as_of>-<hash>`; the hash excludes id and run. Empty if as_of is not an instant."""
    try:
        day = datetime.fromisoformat(body["as_of"]).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    whole = {**body, "id": None, "evidence": {**body["evidence"], "run": None}}
    return f"{day:%Y%m%d}-{canonical_hash(whole)[:12]}"


def _problem(parameter: str, value: Any) -> str | None:
    known = tunable().get(parameter)
    return known.problem(value) if known else f"{parameter} is no parameter of a tuned configuration"


def list_tuned(objects: ObjectStore) -> list[str]:
    """All ids, the oldest as_of first."""
    keys = [row.key.removeprefix(f"{FOLDER}/") for row in objects.walk(f"{FOLDER}/")]
    names = (key.removesuffix(".json") for key in keys if key.endswith(".json"))
    return sorted(name for name in names if ID.fullmatch(name))


def newest_tuned(objects: ObjectStore, as_of: datetime) -> Tuned | None:
    """The newest configuration that was better than the defaults, with an as_of not after this one.

    So a backfill uses configurations of its own time. A damaged file is skipped with a warning.
    """
    limit = f"{as_of.astimezone(UTC):%Y%m%d}"
    for name in reversed(list_tuned(objects)):
        if name[:8] > limit:
            continue
        try:
            found = read_tuned(objects, name)
        except DataError as error:
            log.warning("Skipped: %s", error)
            continue
        if found.better and datetime.fromisoformat(found.as_of) <= as_of:
            return found
    return None


def resolve_tuned(objects: ObjectStore, wanted: str | None, as_of: datetime) -> Tuned | None:
    """Return the configuration of the parameter `tuned`: none, the newest, or that of an id.

    Raises
    ------
    NotFound, DataError
        The configuration does not exist or is damaged.
    """
    if not wanted:
        return None
    return newest_tuned(objects, as_of) if wanted == NEWEST_TUNED else read_tuned(objects, wanted)


def with_tuned(
    params: Mapping[str, ParameterValue], found: Tuned
) -> tuple[dict[str, ParameterValue], dict[str, ParameterValue]]:
    """Return the parameters with tuned values instead of defaults, and the values that were used.

    A parameter that is not at its default was set by the user and is kept. Then the training chooses near it, and a
    flag that ended the choosing is not used: it belongs to the tuned value.
    """
    known = tunable()
    given = {name for name in known if params.get(name) is not None and params[name] != known[name].default}
    of_tuned = {flag for flag, names in CHOSEN.items() if given.isdisjoint(names)}
    taken = {
        name: value
        for name, value in found.values.items()
        if name not in given and (name not in CHOSEN or name in of_tuned)
    }
    return {**params, **taken}, taken
