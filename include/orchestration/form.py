"""The trigger form: the parameters as Airflow's params. Light to import."""

from __future__ import annotations

from airflow.sdk import Param

from include.recommender.parameters import BATCH, RETRAIN, TUNE, Parameter, Parameters
from include.recommender.parameters.page import shown_default

# Airflow checks each schema against its draft whenever it copies a param, thousands of times a run. The default draft's
# own schema costs four times as much.
DRAFT = "http://json-schema.org/draft-07/schema#"


def retrain_params() -> dict[str, Param]:
    """All params of `recommender_retrain`, in the order of the form."""
    return _params(RETRAIN)


def tune_params() -> dict[str, Param]:
    """All params of `recommender_tune`."""
    return _params(TUNE)


def batch_params() -> dict[str, Param]:
    """All params of `recommender_batch`."""
    return _params(BATCH)


def _params(known: Parameters) -> dict[str, Param]:
    return {name: param(each) for name, each in known.items()}


def param(about: Parameter) -> Param:
    """An Airflow param. Airflow's error prints the schema; its key `expected` describes the allowed values."""
    schema = {"$schema": DRAFT, **about.schema(), "expected": about.kind.expected}
    return Param(about.plain_default, _help(about), **schema)


def _help(about: Parameter) -> str:
    """The help text under a field, with the allowed values: the form does not show bounds."""
    schema = about.schema()
    if schema.get("enum") or schema["type"] == "boolean" or schema.get("format") == "date":
        return about.text
    return f"{about.text} Allowed: {about.kind.expected}. Default: {shown_default(about.plain_default)}."
