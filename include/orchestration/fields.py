"""What the trigger form asks for: a field a knob of the configuration, and those of the run itself.

Without Airflow, whose import takes seconds: a laptop checks parameters by these before it starts anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.recommender.config import MOST_WINDOWS, Knob, knobs, tune_knobs

# Of recommender_tune. Dynamic mapping cannot loop, so the rounds are written out; those not needed are skipped.
ROUNDS = 12
AUTOMATIC, BY_HAND = "automatic", "by_hand"
FORCE_REASON_CHARS, MOST_REASON_CHARS = 10, 500
# An instant with microseconds and zone has 32.
MOST_AS_OF_CHARS = 40
# In the words that Python and JavaScript share; Python's `$` alone would let a line feed pass.
END = r"$(?![\s\S])"
DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])?"
AS_OF, CHANNEL = f"^{DAY}([T ]{CLOCK})?{END}", f"^[a-z][a-z0-9_-]{{0,39}}{END}"
TUNED = rf"^(newest|[0-9]{{8}}-[0-9a-f]{{12}}){END}"
IN_WORDS = {
    AS_OF: "a date or date-time, ISO 8601",
    CHANNEL: "a name of a-z, 0-9, - and _, at most 40 characters",
    TUNED: "`newest`, or the id of a tuned configuration",
}
RUN = "Run Parameters"  # Airflow opens the section of this name, and folds all others
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


@dataclass(frozen=True)
class Field:
    """A parameter: its default, a line of help, and its JSON schema with what Airflow's form adds to that."""

    value: Any
    description: str
    schema: Mapping[str, Any]


def retrain_fields() -> dict[str, Field]:
    """All parameters of `recommender_retrain`, in the order of the form."""
    return _run_fields() | {knob.param: _knob_field(knob) for knob in knobs()}


def tune_fields() -> dict[str, Field]:
    """All parameters of `recommender_tune`: of the run, of the search, and the configuration that it begins with."""
    from include.recommender.tuning.space import SPACE

    search = _field(
        None,
        type=["null", "array"],
        items={"type": "string", "enum": list(SPACE)},
        maxItems=len(SPACE),
        examples=list(SPACE),
        title="Parameters to search",
        description="Empty: factors, regularization, alpha, half_life_days, prior_short_history, and the weight of "
        "unverified purchases where there are both kinds.",
        section=SECTIONS["tune"],
    )
    base = [knob for knob in knobs() if knob.section in ("parse", "encode", "train", "prior", "evaluate")]
    run = {name: field for name, field in _run_fields().items() if name in ("snapshot", "as_of")}
    return run | {"search": search} | {knob.param: _knob_field(knob) for knob in [*tune_knobs(), *base]}


def _run_fields() -> dict[str, Field]:
    return {
        "snapshot": _field(
            None,
            type=["null", "string"],
            format="date",
            maxLength=len("2018-10-01"),
            title="Snapshot",
            description="Date of the snapshot to train on. Empty: the newest dated on or before the run's date.",
            section=RUN,
        ),
        "as_of": _field(
            None,
            type=["null", "string"],
            pattern=AS_OF,
            maxLength=MOST_AS_OF_CHARS,
            title="As of",
            description="Nothing at or after this instant may be known: a date (its midnight, UTC) or a date-time. "
            "Empty: the run's date.",
            section=RUN,
        ),
        "tuned": _field(
            None,
            type=["null", "string"],
            pattern=TUNED,
            maxLength=len("20181001-0123456789ab"),
            examples=["newest"],
            title="Tuned configuration",
            description="An id of recommender_tune, or `newest`: the newest that was better than the defaults, with an "
            "as_of not after this run's. It takes the place of defaults; a parameter that is set otherwise wins. "
            "Empty: none.",
            section=RUN,
        ),
        "channel": _field(
            "production",
            type="string",
            pattern=CHANNEL,
            maxLength=40,
            examples=["production", "staging"],
            title="Channel",
            description="The pointer that is moved to the new model when the gate says PROMOTE.",
            section=RUN,
        ),
        "promotion": _field(
            AUTOMATIC,
            type="string",
            enum=[AUTOMATIC, BY_HAND],
            values_display={
                AUTOMATIC: "Move the channel when the gate says PROMOTE",
                BY_HAND: "Publish only; a person promotes from the command line",
            },
            title="Promotion",
            description="Who moves the channel to a model that passed the gate.",
            section=RUN,
        ),
        "force": _field(
            False,
            type="boolean",
            title="Train again",
            description="Also where the reviews and the configuration are those of the channel's model.",
            section=RUN,
        ),
        "force_reason": _field(
            None,
            type=["null", "string"],
            minLength=FORCE_REASON_CHARS,
            maxLength=MOST_REASON_CHARS,
            title="Promote whatever the verdict",
            description="A written reason, kept in the history for good. Empty: the gate decides.",
            section=RUN,
        ),
    }


def _knob_field(knob: Knob) -> Field:
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
        return _field(knob.default, type="boolean", **about)
    if knob.is_list:
        return _field(
            list(knob.default), type="array", items={"type": kind, **bounds}, minItems=1, maxItems=MOST_WINDOWS, **about
        )
    return _field(knob.default, type=kind, **bounds, **about)


def _field(value: Any, *, description: str, **schema: Any) -> Field:
    return Field(value, description, schema)


def allowed(about: Mapping[str, Any]) -> str:
    """What a param takes, in words, from its JSON schema."""
    if about.get("enum"):
        return ", ".join(f"`{value}`" for value in about["enum"])
    if about.get("format") == "date":
        return "a date, YYYY-MM-DD"
    if about.get("pattern"):
        return IN_WORDS[about["pattern"]]
    if "items" in about:
        return f"a list of at most {about['maxItems']}: {allowed(about['items'])}"
    if about.get("minLength"):
        return f"text of {about['minLength']} to {about['maxLength']} characters"
    kind = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}[str(about["type"])]
    low, high = about.get("minimum"), about.get("maximum")
    return kind + ("" if low is None else f" from {low:,}") + ("" if high is None else f" to {high:,}")
