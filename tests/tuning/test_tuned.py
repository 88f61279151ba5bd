"""Tuned configurations in the store."""

import json
from datetime import UTC, datetime

import pytest

from include.recommender.config import RetrainConfig
from include.recommender.errors import DataError, NotFound
from include.recommender.parameters import RETRAIN, RUN
from include.recommender.tuning.space import tunable
from include.recommender.tuning.tuned import list_tuned, read_tuned, resolve_tuned, with_tuned, write_tuned

VALUES = {"alpha": 90.0, "prior_power": 0.4, "factors": 32, "fit_prior": False}
BODY = {"values": VALUES, "better": True, "cut_s": 1, "run": "manual__1"}
MARCH, APRIL, MAY = (datetime(2018, month, 1, tzinfo=UTC) for month in (3, 4, 5))
DEFAULTS_OF_TUNABLE = {name: each.default for name, each in tunable().items()}
DEFAULTS = {name: each.plain_default for name, each in RETRAIN.items() if name not in RUN}


@pytest.fixture
def objects(workspace):
    return workspace.root


def test_what_is_written_is_read(objects):
    name = write_tuned(objects, MARCH, BODY)
    assert name.startswith("20180301-")
    body = read_tuned(objects, name)
    assert (body["id"], body["values"], body["as_of"]) == (name, VALUES, MARCH.isoformat())
    assert list_tuned(objects) == [name]


def test_it_is_written_once_and_the_run_is_not_part_of_the_id(objects):
    name = write_tuned(objects, MARCH, BODY)
    assert write_tuned(objects, MARCH, {**BODY, "run": "manual__2"}) == name
    assert read_tuned(objects, name)["run"] == "manual__1"
    assert write_tuned(objects, MARCH, {**BODY, "better": False}) != name


def test_it_stays_what_it_was_when_the_defaults_change(objects):
    defaults = DEFAULTS_OF_TUNABLE | {"age_floor": 0.5, "alpha": 7.0}
    name = write_tuned(objects, MARCH, {**BODY, "defaults": defaults})
    assert read_tuned(objects, name)["values"] == {"age_floor": 0.5, **VALUES}
    gone = write_tuned(objects, APRIL, {**BODY, "defaults": {"a_parameter_that_is_gone": 1}})
    assert read_tuned(objects, gone)["values"] == VALUES
    searched = write_tuned(objects, MAY, {**BODY, "values": {"a_parameter_that_is_gone": 1}})
    with pytest.raises(DataError, match="a_parameter_that_is_gone"):
        read_tuned(objects, searched)


def test_one_from_before_the_floor_and_the_learned_half_life_says_what_to_do(objects):
    body = {"id": "20180301-0123456789ab", "format": 1, "as_of": MARCH.isoformat(), **BODY}
    objects.write("tuned/20180301-0123456789ab.json", json.dumps(body).encode())
    with pytest.raises(DataError, match=r"format 1.*run recommender_tune again"):
        read_tuned(objects, "20180301-0123456789ab")


def test_newest_keeps_to_the_past_and_to_what_was_better(objects):
    march, april = (write_tuned(objects, when, BODY) for when in (MARCH, APRIL))
    write_tuned(objects, APRIL, {**BODY, "better": False})
    assert resolve_tuned(objects, "newest", MAY)["id"] == april
    assert resolve_tuned(objects, "newest", APRIL)["id"] == april
    assert resolve_tuned(objects, "newest", datetime(2018, 3, 31, 23, tzinfo=UTC))["id"] == march
    assert resolve_tuned(objects, "newest", datetime(2018, 2, 1, tzinfo=UTC)) is None
    assert resolve_tuned(objects, None, MAY) is None


def test_an_id_that_is_not_there_is_named_with_those_that_are(objects):
    with pytest.raises(NotFound, match="none yet"):
        read_tuned(objects, "20180301-0123456789ab")
    name = write_tuned(objects, MARCH, BODY)
    with pytest.raises(NotFound, match=name):
        read_tuned(objects, "20180301-0123456789ab")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"format": 3},
        {"values": {"alpha": "much"}},
        {"values": {"alpha": -1}},
        {"values": {"top_k": 5}},
        {"values": None},
        {"as_of": "March"},
    ],
)
def test_a_damaged_one_is_refused_by_name_and_newest_passes_it_over(objects, change, caplog):
    older = write_tuned(objects, MARCH, BODY)
    name = write_tuned(objects, APRIL, BODY)
    body = json.loads(objects.read(f"tuned/{name}.json"))
    objects.write(f"tuned/{name}.json", json.dumps({**body, **change}).encode())
    with pytest.raises(DataError, match=name):
        read_tuned(objects, name)
    assert resolve_tuned(objects, "newest", MAY)["id"] == older
    assert name in caplog.text


def test_it_takes_the_place_of_defaults_and_what_a_person_set_wins():
    params, taken = with_tuned({**DEFAULTS, "channel": "x"}, BODY)
    assert taken == VALUES
    assert (params["alpha"], params["channel"]) == (90.0, "x")
    assert RetrainConfig.from_params(params).prior.power == 0.4
    params, taken = with_tuned({**DEFAULTS, "alpha": 7, "prior_power": 0.1}, BODY)
    assert taken == {"factors": 32}
    assert (params["alpha"], params["prior_power"], params["fit_prior"]) == (7, 0.1, True)
    tuned_days = {"values": {"prior_half_life_days": 9.0, "fit_prior": False}}
    assert with_tuned(DEFAULTS, tuned_days)[1] == tuned_days["values"]
    assert with_tuned({**DEFAULTS, "prior_half_life_days": 50.0}, tuned_days)[1] == {}
