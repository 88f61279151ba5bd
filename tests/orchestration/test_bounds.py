"""Every parameter has an upper bound, in the form and in the task, and no message repeats a long value."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import jsonschema
import pytest

from include.orchestration.fields import retrain_fields, tune_fields
from include.orchestration.parameters import problems
from include.orchestration.run import _other_problems, _search_problems, open_run
from include.recommender.config import RetrainConfig, TuneConfig, knobs, shown_value, tune_knobs
from include.recommender.errors import ConfigError

FIELDS = retrain_fields() | tune_fields()
LONGEST_MESSAGE = 1000
HUGE = [
    10**400,
    10**5000,
    -(10**400),
    2**63,
    1e308,
    -1e308,
    float("inf"),
    float("nan"),
    True,
    "9" * 10_000,
    [1] * 10_000,
]


def kind(value):
    """Of a case: pytest cannot write huge numbers."""
    return type(value).__name__


def bounded(schema):
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "string" in kinds:
        return bool(schema.get("enum")) or "maxLength" in schema
    if "array" in kinds:
        return "maxItems" in schema and bounded(schema["items"])
    return "boolean" in kinds or "maximum" in schema


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_form_has_an_upper_bound(name):
    assert bounded(FIELDS[name].schema), FIELDS[name].schema


@pytest.mark.parametrize("knob", [*knobs(), *tune_knobs()], ids=lambda knob: knob.param)
def test_the_task_refuses_what_is_too_much_in_a_short_message(knob):
    for value in HUGE:
        if value is True and knob.is_flag:
            continue
        for given in [value, [value] * 3, {"a": {"b": value}}, [[[value]]]] if not knob.is_flag else [value]:
            found = knob.problem(given)
            assert found is not None, given
            assert found.startswith(knob.param)
            assert len(found) < LONGEST_MESSAGE


@pytest.mark.parametrize("knob", [knob for knob in knobs() if knob.high is not None], ids=lambda knob: knob.param)
def test_form_and_task_agree_at_the_bound(knob):
    schema = FIELDS[knob.param].schema
    for value in (knob.high, knob.high + 1):
        given = [value] if knob.is_list else value
        if knob.is_whole:
            given = json.loads(json.dumps([int(value)] if knob.is_list else int(value)))
        allowed = jsonschema.Draft7Validator(schema).is_valid(given)
        assert (knob.problem(given) is None) == allowed == (value == knob.high)


def test_a_list_has_a_longest_length_in_form_and_task():
    schema = FIELDS["windows_days"].schema
    for n in (20, 21):
        given = list(range(1, n + 1))
        assert jsonschema.Draft7Validator(schema).is_valid(given) == (n == 20)
    assert RetrainConfig.from_params({"windows_days": list(range(1, 21))}).popularity.windows_days[-1] == 20
    with pytest.raises(ConfigError, match="windows_days: 21 numbers, expected at most 20"):
        RetrainConfig.from_params({"windows_days": list(range(1, 22))})


@pytest.mark.parametrize(
    "search",
    ["alpha", ["alpha"] * 1000, ["x" * 10**6], [["alpha"]], [{"a": 1}], [None], {"alpha": 1}, 7, [10**400]],
    ids=kind,
)
def test_a_search_space_is_a_short_list_of_names(search):
    (problem,) = _search_problems({"search": search, "trials": TuneConfig().trials})
    assert problem.startswith("search=")
    assert len(problem) < LONGEST_MESSAGE
    assert not jsonschema.Draft7Validator(FIELDS["search"].schema).is_valid(search)


@pytest.mark.parametrize(
    "reason", ["x" * 501, "x" * 10**6, ["a reason, as a list"], 10**5000, " " * 40, "too short"], ids=kind
)
def test_a_reason_is_a_sentence(reason):
    (problem,) = _other_problems({"force_reason": reason}, [])
    assert problem.startswith("force_reason=")
    assert "10 to 500 characters" in problem
    assert len(problem) < LONGEST_MESSAGE
    assert _other_problems({"force_reason": "x" * 500}, []) == []


@pytest.mark.parametrize("tuned", ["../../x", "newest\n", "x" * 10**6, ["newest"], 10**5000], ids=kind)
def test_a_tuned_configuration_is_named_by_its_id(tuned):
    (problem,) = _other_problems({"tuned": tuned}, [])
    assert problem.startswith("tuned=")
    assert len(problem) < LONGEST_MESSAGE
    assert [] == _other_problems({"tuned": "newest"}, []) == _other_problems({"tuned": "20181001-0123456789ab"}, [])


def test_problems_of_a_conf_are_short_whatever_it_holds():
    conf = {"channel": "c" * 10**6, "as_of": "2018-01-01" + "0" * 10**6, "search": ["y" * 10**5] * 500, "z" * 10**5: 1}
    conf |= {f"no_such_{n}": n for n in range(1000)}
    found = problems(conf, FIELDS)
    assert max(map(len, found)) < LONGEST_MESSAGE
    assert len(found) < 30
    assert "and 981 more names that are no parameters" in found


@pytest.mark.parametrize(
    "as_of", ["2018-01-01T00:00:00+" + "0" * 10**6, "9" * 10**5, "", ["2018-01-01"], 10**5000], ids=kind
)
def test_an_instant_is_short(as_of):
    when = datetime(2018, 10, 1, tzinfo=UTC)
    context = {
        "dag_run": SimpleNamespace(
            dag_id="d", run_id="r", run_type="manual", logical_date=when, run_after=when, conf={}
        ),
        "params": {"as_of": as_of},
        "ti": SimpleNamespace(task_id="t", try_number=1, map_index=-1),
        "dag": SimpleNamespace(params={}),
    }
    run = open_run(context, workspace=None)
    if as_of:
        (problem,) = run.problems
        assert problem.startswith("as_of=")
        assert len(problem) < LONGEST_MESSAGE


def test_what_is_shown_is_short_whatever_it_is():
    for value in [*HUGE, {"a": [1] * 10**6}, [{"a": 1}] * 9, None, b"x" * 10**6, ("x" * 10**6,) * 9]:
        assert len(shown_value(value)) < 300
    assert (shown_value("production"), shown_value(7), shown_value([1, 2])) == ("'production'", "7", "[1, 2]")
