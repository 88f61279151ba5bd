"""The trigger form: its fields as Airflow's params. Light to import.

`python -m include.orchestration.form > docs/parameters.md` writes the same as a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from .fields import Field, allowed, retrain_fields, tune_fields


def retrain_params() -> dict[str, Param]:
    """All params of `recommender_retrain`, in the order of the form."""
    return _params(retrain_fields())


def tune_params() -> dict[str, Param]:
    """All params of `recommender_tune`."""
    return _params(tune_fields())


def _params(fields: Mapping[str, Field]) -> dict[str, Param]:
    return {name: _param(field) for name, field in fields.items()}


def _param(field: Field) -> Param:
    """A param. Airflow's answer to a bad value prints the schema, in which `expected` says in words what it takes."""
    about = {"$schema": DRAFT, **_guarded(field.schema), "expected": allowed(field.schema)}
    return Param(field.value, _help(field), **about)


def _help(field: Field) -> str:
    """The line of help under a field of the form, with what it takes: the form itself does not show bounds."""
    about = field.schema
    if about.get("enum") or about.get("type") == "boolean" or about.get("format") == "date":
        return field.description
    return f"{field.description} Allowed: {allowed(about)}. Default: {_shown(field.value)}."


# Airflow checks each schema against its draft whenever it copies a param, thousands of times a run. The default draft's
# own schema costs four times as much.
DRAFT = "http://json-schema.org/draft-07/schema#"

# JSON over REST may hold NaN and infinity, which PostgreSQL refuses with an error of the server. NaN is on the wrong
# side of no bound: it alone is "at most -1 and at least 1".
HUGE = 10**15
NO_NUMBER = {"anyOf": [{"maximum": -1, "minimum": 1}, {"minimum": HUGE}, {"maximum": -HUGE}]}


def _guarded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that refuses NaN and infinity where it takes a number."""
    if "items" in schema:
        return {**schema, "items": _guarded(schema["items"])}
    return {**schema, "not": NO_NUMBER} if schema.get("type") == "number" else dict(schema)


HEAD = """# Parameters

Every run of `recommender_retrain` takes these: in the trigger form, as `conf` over REST, with `--conf` or
`--dag-run-conf` on the command line. The form and REST refuse a value out of range, and so does the first task.
This page is generated; to change it, change include/orchestration/fields.py or include/recommender/config.py, then

    python -m include.orchestration.form > docs/parameters.md
"""


OF_TUNE = """
# Parameters of `recommender_tune`

It takes `snapshot`, `as_of` and, as what the search begins with, all of these sections above: {shared}.
And its own:
"""


def markdown() -> str:
    """docs/parameters.md: a table a section of the form."""
    retrain, tune = retrain_fields(), tune_fields()
    own = {name: field for name, field in tune.items() if name not in retrain}
    sections = dict.fromkeys(field.schema["section"] for name, field in tune.items() if name not in own)
    shared = ", ".join(section for section in sections if section != retrain["as_of"].schema["section"])
    return HEAD + _tables(retrain) + OF_TUNE.format(shared=shared) + _tables(own)


def _tables(fields: Mapping[str, Field]) -> str:
    rows: dict[str, list[str]] = {}
    for name, field in fields.items():
        about = field.schema
        line = f"| `{name}` | {_shown(field.value)} | {allowed(about)} | {field.description} |"
        rows.setdefault(about["section"], []).append(line.replace("\n", " "))
    tables = (
        "\n".join([f"\n## {name}\n", "| name | default | allowed | what |", "|---|---|---|---|", *lines])
        for name, lines in rows.items()
    )
    return "\n".join(tables) + "\n"


def _shown(value: Any) -> str:
    return "empty" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(markdown(), end="")
