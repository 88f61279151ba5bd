"""The trigger form, and the page that is generated from it."""

import pytest

from include.orchestration.form import markdown, retrain_params
from include.recommender.config import knobs

from ..conftest import ROOT


def test_the_page_of_parameters_is_what_the_form_says():
    page = (ROOT / "docs" / "parameters.md").read_text()
    assert page == markdown(), "Write it anew: python -m include.orchestration.form > docs/parameters.md"


@pytest.mark.parametrize("name", sorted(retrain_params()))
def test_each_parameter_has_a_section_a_title_and_a_line_of_help_and_a_default_that_is_allowed(name):
    param = retrain_params()[name]
    assert param.schema["section"]
    assert param.schema["title"]
    assert len(param.description) > 10
    assert param.resolve() == param.value


@pytest.mark.parametrize("knob", knobs(), ids=lambda knob: knob.param)
def test_the_form_draws_the_same_bounds_as_the_task(knob):
    param = retrain_params()[knob.param]
    schema = param.schema["items"] if knob.is_list else param.schema
    assert (schema.get("minimum"), schema.get("maximum")) == (knob.low, knob.high)


def test_a_choice_shows_words_for_each_of_its_values():
    schema = retrain_params()["promotion"].schema
    assert set(schema["values_display"]) == set(schema["enum"])


def test_a_wrong_name_in_a_list_is_named_with_the_one_that_was_probably_meant():
    from include.orchestration.fields import tune_fields
    from include.orchestration.parameters import problems

    (told,) = problems({"search": ["alfa", "factors"]}, tune_fields())
    assert "not among them 'alfa' (did you mean alpha?); expected" in told
    assert problems({"search": ["alpha"]}, tune_fields()) == []
