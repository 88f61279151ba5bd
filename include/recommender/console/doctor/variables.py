"""The variables of the environment: what they hold, and those that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from ...errors import ConfigError
from ...parameters import parameters_of
from ...parameters.kinds import Flag
from ...parameters.of_api import ApiConfig
from ...parameters.of_deployment import KINDS, NAMES
from ...runs.cron import read_cron
from ...runs.notifiers import notifier_rows
from ...storage.cache import cache_of
from ...storage.places import read_places
from .examined import Examined, Role
from .findings import DoctorCheck, DoctorFinding, failed, fine, warning

PREFIX, API_PREFIX = "RECOMMENDER_", "RECOMMENDER_API_"
API_NAMES = tuple(f"{API_PREFIX}{each.name.upper()}" for each in parameters_of(ApiConfig))
# Set by the laptop's commands for their own processes.
INTERNAL = frozenset({"RECOMMENDER_REGISTRY_TYPED_AS", "RECOMMENDER_LOCAL_OWNER"})
SWITCHES = {"0": False, "1": True}


def settings(about: Examined) -> DoctorFinding:
    """Every variable with a value that is not allowed."""
    found = [*_of_place(about.environment), *_of_api(about.environment)]
    if about.role is Role.DAG:
        found += _of_dag(about.environment)
    if found:
        where = "on all parts of Airflow" if about.role is Role.DAG else "where this process gets its environment"
        return failed("\n".join(found), "values that docs/operations.md lists", f"Correct them {where}, and restart.")
    given = sorted(name for name in about.environment if name.startswith(PREFIX) and name not in INTERNAL)
    return fine(f"{len(given)} variables are valid; root {about.environment.get('RECOMMENDER_ROOT')}")


def _of_place(environment: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for read in (read_places, cache_of):
        try:
            read(environment)
        except ConfigError as error:
            problems += error.problems
    return problems


def _of_dag(environment: Mapping[str, str]) -> Iterator[str]:
    try:
        read_cron(environment)
    except ConfigError as error:
        yield from error.problems
    for name, kind in KINDS.items():
        text = environment.get(name, "").strip()
        problem = kind.problem(kind.parse(text)) if text else None
        if problem:
            yield f"{name}={problem}"
    if environment.get("RECOMMENDER_APPROVAL_HOURS", "").strip() in {"0", "0.0"}:
        yield "RECOMMENDER_APPROVAL_HOURS: expected more than 0 hours"
    for problem in notifier_rows(environment.get("RECOMMENDER_NOTIFIERS", "").strip())[1]:
        yield f"RECOMMENDER_NOTIFIERS: {problem}"


def _of_api(environment: Mapping[str, str]) -> Iterator[str]:
    for each in parameters_of(ApiConfig):
        name = f"{API_PREFIX}{each.name.upper()}"
        text = environment.get(name, "")
        value = SWITCHES.get(text, text) if isinstance(each.kind, Flag) else each.kind.parse(text)
        problem = each.kind.problem(value) if text else None
        if problem:
            yield f"{name}={problem}"


def names(about: Examined) -> DoctorFinding:
    """Variables with our prefix that nothing reads."""
    known = {*NAMES, *API_NAMES}
    strange = sorted(name for name in about.environment if name.startswith(PREFIX))
    unread = {name: _near(name) for name in strange if name not in known | INTERNAL}
    if not unread:
        return fine("each RECOMMENDER_ variable is read by something")
    seen = "\n".join(
        f"{name} is set, and nothing reads it{f'; did you mean {near}?' if near else ''}"
        for name, near in unread.items()
    )
    fixes = " ".join(f"Rename {name} to {near}." for name, near in unread.items() if near)
    verdict = failed if fixes else warning
    return verdict(seen, "names that docs/operations.md or docs/api.md lists", fixes or "Unset them.")


def _near(name: str) -> str | None:
    """A setting of a similar name; the prefix alone makes none similar."""
    known = {each.removeprefix(PREFIX): each for each in (*NAMES, *API_NAMES)}
    found = get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=0.75)
    return known[found[0]] if found else None


CHECKS = (DoctorCheck("environment", "settings", settings), DoctorCheck("environment", "variable names", names))
