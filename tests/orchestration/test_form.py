"""The trigger form, and the page that is generated from it."""

import json

import pytest
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError

from include.orchestration.form import retrain_params, tune_params
from include.recommender.parameters import REGISTRY, RETRAIN, TUNE, problems
from include.recommender.parameters.instants import instant
from include.recommender.parameters.page import markdown

from ..conftest import ROOT


def test_the_page_of_parameters_is_what_the_form_says():
    page = (ROOT / "docs" / "parameters.md").read_text()
    assert page == markdown(), "Write it anew: python -m include.recommender.parameters.page > docs/parameters.md"


@pytest.mark.parametrize("name", sorted(retrain_params()))
def test_each_parameter_has_a_section_a_title_and_a_line_of_help_and_a_default_that_is_allowed(name):
    param = retrain_params()[name]
    assert param.schema["section"]
    assert param.schema["title"]
    assert len(param.description) > 10
    assert param.resolve() == param.value


@pytest.mark.parametrize("name", sorted(RETRAIN | TUNE | REGISTRY))
def test_a_text_says_in_sentences_what_a_parameter_does(name):
    about = (RETRAIN | TUNE | REGISTRY)[name]
    assert about.text[0].isupper()
    assert about.text.endswith(".")
    assert len(about.text.split()) > 8
    assert max(len(sentence.split()) for sentence in about.text.split(". ")) <= 30
    assert about.problem(about.default) is None or name == "why"


def test_both_forms_have_the_parameters_of_their_dag_in_its_order():
    assert (list(retrain_params()), list(tune_params())) == (list(RETRAIN), list(TUNE))


def test_a_choice_shows_words_for_each_of_its_values():
    schema = retrain_params()["promotion"].schema
    assert set(schema["values_display"]) == set(schema["enum"])


def test_a_wrong_name_in_a_list_is_named_with_the_one_that_was_probably_meant():
    (output,) = problems({"search": ["alfa", "factors"]}, TUNE)
    assert "not allowed in it: 'alfa' (did you mean alpha?); expected a list" in output
    assert problems({"search": ["alpha"]}, TUNE) == []


@pytest.mark.parametrize("name", [name for name, param in retrain_params().items() if param.schema["type"] == "number"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused_by_the_form(name, value):
    """Through the schema that REST checks: PostgreSQL refuses them later, with an error of the server."""
    with pytest.raises(ParamValidationError):
        ParamsDict(retrain_params())[name] = value


BAD = {
    "as_of": ["2018-13-01", "2018-10-32", "2018-10-01T25:00", "2018-10-01\n", "yesterday", 20181001, "2018-10-01Tx"],
    "snapshot": ["2018-13-01", "2018-02-30", "2018-10-01T00:00", "latest", 1],
    "channel": ["production\n", "Production", "", None, "../x"],
    "tuned": ["newest\n", "best", 3],
    "factors": ["many", 0, 8.5, True, [8], None, float("nan"), float("inf"), "8"],
    "force": ["yes", 1, None],
    "promotion": ["later", None],
    "windows_days": [[], [0], ["7"], 7, [float("nan")]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_values_are_refused_before_a_run_begins_and_by_the_task(name, value):
    with pytest.raises(ParamValidationError):
        ParamsDict(retrain_params())[name] = value
    assert RETRAIN[name].problem(value).startswith(f"{name}=")


@pytest.mark.parametrize(
    "as_of", ["2018-02-30", "0000-01-01", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59", "2018-W40-1", "20181001"]
)
def test_the_task_refuses_an_instant_that_does_not_exist(as_of):
    assert RETRAIN["as_of"].problem(as_of).startswith(f"as_of='{as_of}': expected a date or date-time, ISO 8601")


@pytest.mark.parametrize(
    "as_of",
    ["2018-10-01", "2018-10-01T06:00", "2018-10-01 06:00:01", "2018-10-01T06:00:00Z", "2018-10-01T06:00+0200"],
)
def test_what_the_form_takes_as_an_instant_the_task_takes_too(as_of):
    params = ParamsDict(retrain_params())
    params["as_of"] = as_of
    assert RETRAIN["as_of"].problem(as_of) is None
    assert instant(params["as_of"]).tzinfo is not None


def test_the_most_used_section_is_the_one_that_airflow_opens():
    first, *rest = dict.fromkeys(param.schema["section"] for param in retrain_params().values())
    assert first == "Run Parameters"
    assert "snapshot" in [name for name, param in retrain_params().items() if param.schema["section"] == first]
    assert "Run Parameters" not in rest


@pytest.mark.parametrize("name", [name for name, param in retrain_params().items() if "minimum" in param.schema])
def test_the_help_of_a_number_names_its_bounds_and_default(name):
    param = retrain_params()[name]
    assert f"from {param.schema['minimum']:,.10g} to {param.schema['maximum']:,.10g}" in param.description
    assert f"Default: `{json.dumps(param.value)}`" in param.description
