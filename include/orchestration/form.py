"""The trigger form: one Airflow param a knob of the configuration, and those of the run itself. Light to import.

`python -m include.orchestration.form > docs/parameters.md` writes the same as a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from include.recommender.config import Knob, knobs, tune_knobs

# Of recommender_tune. Dynamic mapping cannot loop, so the rounds are written out; those not needed are skipped.
ROUNDS = 12
AUTOMATIC, BY_HAND = "automatic", "by_hand"
FORCE_REASON_CHARS = 10
AS_OF, CHANNEL = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$", "^[a-z][a-z0-9_-]{0,39}$"
TUNED = r"^(newest|\d{8}-[0-9a-f]{12})$"
IN_WORDS = {
    AS_OF: "a date or date-time, ISO 8601",
    CHANNEL: "a name of a-z, 0-9, - and _, at most 40 characters",
    TUNED: "`newest`, or the id of a tuned configuration",
}
SECTIONS = {
    "tune": "Search",
    "parse": "Parsing",
    "quality": "Data quality",
    "encode": "Encoding and split",
    "train": "ALS training",
    "prior": "Item prior",
    "popularity": "Popularity (the opponents)",
    "evaluate": "Evaluation",
    "gate": "Gate",
}


def retrain_params() -> dict[str, Param]:
    """All params of `recommender_retrain`, in the order of the form."""
    return _run_params() | {knob.param: _knob_param(knob) for knob in knobs()}


def tune_params() -> dict[str, Param]:
    """All params of `recommender_tune`: of the run, of the search, and the configuration that it begins with."""
    from include.recommender.tuning.space import SPACE

    search = Param(
        None,
        type=["null", "array"],
        items={"type": "string", "enum": list(SPACE)},
        examples=list(SPACE),
        title="Parameters to search",
        description="Empty: factors, regularization, alpha, the half-lives, prior_short_history, and the weight of "
        "unverified purchases where there are both kinds.",
        section=SECTIONS["tune"],
    )
    base = [knob for knob in knobs() if knob.section in ("parse", "encode", "train", "prior", "evaluate")]
    run = {name: param for name, param in _run_params().items() if name in ("snapshot", "as_of")}
    return run | {"search": search} | {knob.param: _knob_param(knob) for knob in [*tune_knobs(), *base]}


def _run_params() -> dict[str, Param]:
    return {
        "snapshot": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Snapshot",
            description="Date of the snapshot to train on. Empty: the newest dated on or before the run's date.",
            section="Run",
        ),
        "as_of": Param(
            None,
            type=["null", "string"],
            pattern=AS_OF,
            title="As of",
            description="Nothing at or after this instant may be known: a date (its midnight, UTC) or a date-time. "
            "Empty: the run's date.",
            section="Run",
        ),
        "tuned": Param(
            None,
            type=["null", "string"],
            pattern=TUNED,
            examples=["newest"],
            title="Tuned configuration",
            description="An id of recommender_tune, or `newest`: the newest that was better than the defaults, with an "
            "as_of not after this run's. It takes the place of defaults; a parameter that is set otherwise wins. "
            "Empty: none.",
            section="Run",
        ),
        "channel": Param(
            "production",
            type="string",
            pattern=CHANNEL,
            examples=["production", "staging"],
            title="Channel",
            description="The pointer that is moved to the new model when the gate says PROMOTE.",
            section="Run",
        ),
        "promotion": Param(
            AUTOMATIC,
            type="string",
            enum=[AUTOMATIC, BY_HAND],
            values_display={
                AUTOMATIC: "Move the channel when the gate says PROMOTE",
                BY_HAND: "Publish only; a person promotes from the command line",
            },
            title="Promotion",
            description="Who moves the channel to a model that passed the gate.",
            section="Run",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Train again",
            description="Also where the reviews and the configuration are those of the channel's model.",
            section="Run",
        ),
        "force_reason": Param(
            None,
            type=["null", "string"],
            minLength=FORCE_REASON_CHARS,
            title="Promote whatever the verdict",
            description="A written reason, kept in the history for good. Empty: the gate decides.",
            section="Run",
        ),
    }


def _knob_param(knob: Knob) -> Param:
    kind = "integer" if knob.is_whole else "number"
    bounds: dict[str, Any] = {}
    if knob.low is not None:
        bounds["minimum"] = knob.low
    if knob.high is not None:
        bounds["maximum"] = knob.high
    about: dict[str, Any] = {
        "title": knob.param.replace("_", " ").capitalize(),
        "description": knob.description,
        "section": SECTIONS[knob.section],
    }
    if knob.is_flag:
        return Param(knob.default, type="boolean", **about)
    if knob.is_list:
        return Param(list(knob.default), type="array", items={"type": kind, **bounds}, minItems=1, **about)
    return Param(knob.default, type=kind, **bounds, **about)


HEAD = """# Parameters of `recommender_retrain`

Every run takes these: in the trigger form, as `conf` over REST, with `--conf` or `--dag-run-conf` on the command line.
The form and REST refuse a value out of range, and so does the first task. This page is generated; to change it, change
include/orchestration/form.py or include/recommender/config.py, then

    python -m include.orchestration.form > docs/parameters.md
"""


def markdown() -> str:
    """docs/parameters.md: a table a section of the form."""
    rows: dict[str, list[str]] = {}
    for name, param in retrain_params().items():
        about = param.schema
        line = f"| `{name}` | {_shown(param.value)} | {allowed(about)} | {param.description} |"
        rows.setdefault(about["section"], []).append(line.replace("\n", " "))
    tables = (
        "\n".join([f"\n## {name}\n", "| name | default | allowed | what |", "|---|---|---|---|", *lines])
        for name, lines in rows.items()
    )
    return HEAD + "\n".join(tables) + "\n"


def _shown(value: Any) -> str:
    return "empty" if value is None else f"`{json.dumps(value)}`"


def allowed(about: Mapping[str, Any]) -> str:
    """What a param takes, in words, from its JSON schema."""
    if about.get("enum"):
        return ", ".join(f"`{value}`" for value in about["enum"])
    if about.get("format") == "date":
        return "a date, YYYY-MM-DD"
    if about.get("pattern"):
        return IN_WORDS[about["pattern"]]
    if "items" in about:
        return f"a list of: {allowed(about['items'])}"
    if about.get("minLength"):
        return f"text of at least {about['minLength']} characters"
    kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}[str(about["type"])]
    low, high = about.get("minimum"), about.get("maximum")
    return kind + ("" if low is None else f" from {low:,}") + ("" if high is None else f" to {high:,}")


if __name__ == "__main__":
    print(markdown(), end="")
