"""Tuned configurations in the store."""

import json
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from include.recommender.config import RetrainConfig
from include.recommender.errors import DataError, NotFound
from include.recommender.parameters import RETRAIN, RUN
from include.recommender.tuning import tuned
from include.recommender.tuning.records import Tuned
from include.recommender.tuning.space import tunable
from include.recommender.tuning.tuned import list_tuned, read_tuned, resolve_tuned, with_tuned, write_tuned

from ..documents import evidence

VALUES = {"alpha": 90.0, "prior_power": 0.4, "factors": 32, "fit_prior": False}
MARCH, APRIL, MAY = (datetime(2018, month, 1, tzinfo=UTC) for month in (3, 4, 5))
DEFAULTS_OF_TUNABLE = {name: each.default for name, each in tunable().items()}
MADE = Tuned(
    id="20180301-0123456789ab",
    as_of=MARCH.isoformat(),
    better=True,
    split_s=1,
    defaults={},
    values=VALUES,
    evidence=evidence(),
)


class Was:
    """A parameter as far as its default."""

    def __init__(self, default):
        self.default = default


DEFAULTS = {name: each.plain_default for name, each in RETRAIN.items() if name not in RUN}


def kept(objects, as_of, values=VALUES, better=True, run="manual__1"):
    return write_tuned(objects, as_of, values, evidence(run=run), better=better)


@pytest.fixture
def objects(workspace):
    return workspace.root


def test_what_is_written_is_read(objects):
    name = kept(objects, MARCH)
    assert name.startswith("20180301-")
    body = read_tuned(objects, name)
    assert (body.id, body.values, body.as_of) == (name, VALUES, MARCH.isoformat())
    assert list_tuned(objects) == [name]


def test_it_is_written_once_and_the_run_is_not_part_of_the_id(objects):
    name = kept(objects, MARCH)
    assert kept(objects, MARCH, run="manual__2") == name
    assert read_tuned(objects, name).evidence.run == "manual__1"
    assert kept(objects, MARCH, better=False) != name


def test_it_stays_what_it_was_when_the_defaults_change(objects, monkeypatch):
    def then(**defaults):
        monkeypatch.setattr(tuned, "tunable", lambda: {name: Was(value) for name, value in defaults.items()})

    then(**DEFAULTS_OF_TUNABLE | {"age_floor": 0.5, "alpha": 7.0})
    name = kept(objects, MARCH)
    then(a_parameter_that_is_gone=1)
    gone = kept(objects, APRIL)
    monkeypatch.undo()
    assert read_tuned(objects, name).values == {"age_floor": 0.5, **VALUES}
    assert read_tuned(objects, gone).values == VALUES
    searched = kept(objects, MAY, {"a_parameter_that_is_gone": 1})
    with pytest.raises(DataError, match="a_parameter_that_is_gone"):
        read_tuned(objects, searched)


def test_one_from_before_the_floor_and_the_learned_half_life_says_what_to_do(objects):
    body = {
        "id": "20180301-0123456789ab",
        "format": 1,
        "as_of": MARCH.isoformat(),
        "better": True,
        "split_s": 1,
        "values": VALUES,
    }
    objects.write("tuned/20180301-0123456789ab.json", json.dumps(body).encode())
    with pytest.raises(DataError, match=r"format 1.*run recommender_tune again"):
        read_tuned(objects, "20180301-0123456789ab")


def test_what_has_no_order_is_read_back(objects):
    values = {"family": "knn", "fit_family": False, "knn_similarity": "tfidf"}
    assert read_tuned(objects, kept(objects, MARCH, values)).values == values
    unknown = kept(objects, MARCH, {"family": "svd"})
    with pytest.raises(DataError, match="family='svd': expected `blend`, `als`, `knn`"):
        read_tuned(objects, unknown)


def test_newest_keeps_to_the_past_and_to_what_was_better(objects):
    march, april = (kept(objects, when) for when in (MARCH, APRIL))
    kept(objects, APRIL, better=False)
    assert resolve_tuned(objects, "newest", MAY).id == april
    assert resolve_tuned(objects, "newest", APRIL).id == april
    assert resolve_tuned(objects, "newest", datetime(2018, 3, 31, 23, tzinfo=UTC)).id == march
    assert resolve_tuned(objects, "newest", datetime(2018, 2, 1, tzinfo=UTC)) is None
    assert resolve_tuned(objects, None, MAY) is None


def test_an_id_that_is_not_there_is_named_with_those_that_are(objects):
    with pytest.raises(NotFound, match="none yet"):
        read_tuned(objects, "20180301-0123456789ab")
    name = kept(objects, MARCH)
    with pytest.raises(NotFound, match=name):
        read_tuned(objects, "20180301-0123456789ab")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"format": 2},
        {"values": {"alpha": "much"}},
        {"values": {"alpha": -1}},
        {"values": {"top_k": 5}},
        {"values": None},
        {"as_of": "March"},
    ],
)
def test_a_damaged_one_is_refused_by_name_and_newest_passes_it_over(objects, change, caplog):
    older = kept(objects, MARCH)
    name = kept(objects, APRIL)
    body = json.loads(objects.read(f"tuned/{name}.json"))
    objects.write(f"tuned/{name}.json", json.dumps({**body, **change}).encode())
    with pytest.raises(DataError, match=name):
        read_tuned(objects, name)
    assert resolve_tuned(objects, "newest", MAY).id == older
    assert name in caplog.text


def test_it_takes_the_place_of_defaults_and_what_a_person_set_wins():
    params, taken = with_tuned({**DEFAULTS, "channel": "x"}, MADE)
    assert taken == VALUES
    assert (params["alpha"], params["channel"]) == (90.0, "x")
    assert RetrainConfig.from_params(params).prior.power == 0.4
    params, taken = with_tuned({**DEFAULTS, "alpha": 7, "prior_power": 0.1}, MADE)
    assert taken == {"factors": 32}
    assert (params["alpha"], params["prior_power"], params["fit_prior"]) == (7, 0.1, True)
    tuned_days = replace(MADE, values={"prior_half_life_days": 9.0, "fit_prior": False})
    assert with_tuned(DEFAULTS, tuned_days)[1] == tuned_days.values
    assert with_tuned({**DEFAULTS, "prior_half_life_days": 50.0}, tuned_days)[1] == {}


@pytest.mark.parametrize(
    ("tuned_values", "given", "taken"),
    [
        # The tuned family is the default, so it is not among the tuned values.
        ({"knn_weight": 2.0, "fit_family": False}, {"family": "als"}, {"knn_weight": 2.0}),
        ({"family": "knn", "fit_family": False}, {"knn_weight": 2.0}, {"family": "knn"}),
        ({"factors": 512, "fit_factors": False}, {"factors": 128}, {}),
        ({"factors": 512, "fit_factors": False}, {"prior_power": 0.1}, {"factors": 512, "fit_factors": False}),
        ({"factors": 512, "fit_factors": False}, {"fit_factors": False}, {"factors": 512}),
    ],
)
def test_a_flag_belongs_to_the_tuned_value(tuned_values, given, taken):
    params, used = with_tuned({**DEFAULTS, **given}, replace(MADE, values=tuned_values))
    assert used == taken
    assert params == {**DEFAULTS, **given, **taken}
