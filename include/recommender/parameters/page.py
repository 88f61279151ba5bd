"""docs/parameters.md. `python -m include.recommender.parameters.page > docs/parameters.md` writes it."""

from __future__ import annotations

import json
from typing import Any

from .catalogue import BATCH, REGISTRY, RETRAIN, TUNE, Parameters
from .definition import OneOf, Parameter, Search
from .of_run import RunConfig
from .of_search import SPACE
from .options import option

HEAD = """# Parameters

Every run of `recommender_retrain` takes these: in the trigger form, as `conf` over REST, with `--conf` or
`--dag-run-conf` on the command line. The form and REST refuse a value that is not allowed, and so does the first task.
This page is generated from `include/recommender/parameters/`, where each parameter is defined once. To write it again:

    python -m include.recommender.parameters.page > docs/parameters.md
"""
COLUMNS = "| name | default | allowed | what it does, when to change it |\n|---|---|---|---|"
OF_TUNE = """
# Parameters of `recommender_tune`

It takes `snapshot` and `as_of`. The search begins with the values of these sections above: {shared}.
Its own parameters:
"""
OF_SPACE = """
## What a search tries
`search` names some of these parameters. Bounds are inclusive.

| name | values | steps |
|---|---|---|
"""
OF_BATCH = """
# Parameters of `recommender_batch`

It takes `channel`, and:
"""
OF_REGISTRY = """
# Options of the registry's command line

`--help` of each command shows its options and switches. `--channel` is the parameter `channel` above.

"""


def markdown() -> str:
    """The page: a table for each section."""
    own = {name: each for name, each in TUNE.items() if name not in RETRAIN}
    headings = dict.fromkeys(each.heading for name, each in TUNE.items() if name not in own)
    shared = ", ".join(heading for heading in headings if heading != RunConfig.HEADING)
    options = {option(each): each for each in REGISTRY.values()}
    of_tune = OF_TUNE.format(shared=shared) + _sections(own) + OF_SPACE + _space()
    of_batch = OF_BATCH + _sections({name: each for name, each in BATCH.items() if name not in RETRAIN})
    return HEAD + _sections(RETRAIN) + of_tune + of_batch + OF_REGISTRY + _table(options)


def _sections(known: Parameters) -> str:
    by_heading: dict[str, dict[str, Parameter]] = {}
    for name, each in known.items():
        by_heading.setdefault(each.heading, {})[name] = each
    return "".join(f"\n## {heading}\n\n{_table(rows)}" for heading, rows in by_heading.items())


def _space() -> str:
    return "".join(f"| `{name}` | {_tried(each)} |\n" for name, each in SPACE.items())


def _tried(search: Search) -> str:
    """The columns of the values and of the steps."""
    if isinstance(search, OneOf):
        return f"{', '.join(f'`{value}`' for value in search.values)} | none"
    return f"{search.low:g} to {search.high:g} | {'of the logarithm' if search.log else 'equal'}"


def _table(rows: Parameters) -> str:
    lines = (
        f"| `{name}` | {shown_default(each.plain_default)} | {each.kind.expected} | {each.text} |"
        for name, each in rows.items()
    )
    return "\n".join([COLUMNS, *lines, ""])


def shown_default(value: Any) -> str:
    """A default as the form and the page show it."""
    return "empty" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(markdown(), end="")
