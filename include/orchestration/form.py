"""The trigger form: one Airflow param a knob of the configuration, and those of the run itself. Light to import."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from include.recommender.config import Knob, knobs

SECTIONS = {
    "parse": "Parsing",
    "quality": "Data quality",
    "encode": "Encoding and split",
    "train": "ALS training",
    "popularity": "Popularity (the opponents)",
    "evaluate": "Evaluation",
    "gate": "Gate",
}


def retrain_params() -> dict[str, Param]:
    """All params of `recommender_retrain`, in the order of the form."""
    return _run_params() | {knob.param: _knob_param(knob) for knob in knobs()}


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
            pattern=r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$",
            title="As of",
            description="Nothing at or after this instant may be known: a date (its midnight, UTC) or a date-time. "
            "Empty: the run's date.",
            section="Run",
        ),
        "channel": Param(
            "production",
            type="string",
            pattern="^[a-z][a-z0-9_-]{0,39}$",
            title="Channel",
            description="The pointer that is moved to the new model when the gate says PROMOTE.",
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
            minLength=10,
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
