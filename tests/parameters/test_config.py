"""A stored configuration is complete, or refused by name; the order and the values of a section's fields are kept."""

import json
from dataclasses import asdict, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.config import PriorConfig, RetrainConfig
from include.recommender.errors import ConfigError, DataError
from include.recommender.parameters import RETRAIN, RUN, parameters_of
from include.recommender.parameters.kinds import Flag, OneText, Several, Whole

WHERE = "The manifest of m1"


def values(about):
    """Values of a parameter that are allowed."""
    kind = about.kind.of if isinstance(about.kind, Several) else about.kind
    if isinstance(kind, Flag):
        return st.booleans()
    if isinstance(kind, OneText):
        return st.sampled_from(list(kind.options))
    numbers = st.integers(kind.low, kind.high) if isinstance(kind, Whole) else st.floats(kind.low, kind.high)
    return st.lists(numbers, min_size=1, max_size=20) if isinstance(about.kind, Several) else numbers


SET = {name: values(each) for name, each in RETRAIN.items() if name not in RUN and each.section != "gate"}


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=SET))
def test_what_is_stored_is_read_as_it_was(params):
    config = RetrainConfig.from_params(params)
    body = json.loads(json.dumps(config.as_dict()))
    assert RetrainConfig.from_dict(body, WHERE) == config
    for name, value in params.items():
        found = getattr(getattr(config, RETRAIN[name].section), RETRAIN[name].field)
        assert found == (tuple(sorted(set(value))) if isinstance(value, list) else value)
        assert type(found) is type(RETRAIN[name].default)


@pytest.mark.parametrize("section", [field.name for field in fields(RetrainConfig)])
def test_a_section_that_is_missing_is_named(section):
    body = RetrainConfig().as_dict()
    del body[section]
    with pytest.raises(DataError, match=rf"{WHERE}: {section} is missing\. Another version of this code"):
        RetrainConfig.from_dict(body, WHERE)


@pytest.mark.parametrize("name", [name for name in RETRAIN if name not in RUN])
def test_a_field_that_is_missing_is_named(name):
    about, body = RETRAIN[name], RetrainConfig().as_dict()
    del body[about.section][about.field]
    with pytest.raises(DataError, match=rf"{WHERE}: {about.section}\.{about.field} is missing"):
        RetrainConfig.from_dict(body, WHERE)


def test_everything_that_is_wrong_is_named_at_once():
    body = RetrainConfig().as_dict()
    body["prior"]["fit_power"] = body["prior"].pop("fit")
    body["train"] |= {"factors": "many", "x" * 10**5: 1}
    body |= {"parse": [1], "knnn": {}}
    del body["gate"]
    with pytest.raises(DataError) as caught:
        RetrainConfig.from_dict(body, WHERE)
    output = str(caught.value)
    for words in (
        "gate is missing",
        "'knnn' is unknown",
        "parse=[1]: expected an object",
        "prior.fit is missing; prior: 'fit_power' is unknown",
        "train: 'xxxxx",
        "factors='many': expected a whole number from 1 to 1,024",
    ):
        assert words in output
    assert len(output) < 2_000


def test_a_section_alone_is_read_alike():
    prior = PriorConfig(power=0.7, fit=False)
    assert PriorConfig.stored(asdict(prior), WHERE) == prior
    with pytest.raises(DataError, match=r"prior\.short_history is missing; prior\.half_life_days is missing"):
        PriorConfig.stored({"power": 0.7, "fit": False}, WHERE)


def test_null_is_a_value_of_optional_parameters_only():
    with pytest.raises(ConfigError, match="factors=None: expected a whole number"):
        RetrainConfig.from_params({"factors": None})


def test_no_two_parameters_have_one_name():
    sections = {field.default_factory for field in fields(RetrainConfig)}
    assert sum(len(parameters_of(section)) for section in sections) == len(RETRAIN) - len(RUN)
