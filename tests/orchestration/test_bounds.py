"""Every parameter has an upper bound, in the form and in the task, and no message repeats a long value."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import jsonschema
import pytest

from include.orchestration.running import open_run
from include.recommender.config import RetrainConfig, TuneConfig
from include.recommender.errors import ConfigError
from include.recommender.parameters import REGISTRY, RETRAIN, RUN, TUNE, problems, shown_value
from include.recommender.parameters.kinds import Flag, Number, Several, Whole

ALL = RETRAIN | TUNE | REGISTRY
NUMBERS = {name: each for name, each in ALL.items() if isinstance(each.kind, (Number, Several)) and name != "search"}
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


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_form_has_an_upper_bound(name):
    assert bounded(ALL[name].schema()), ALL[name].schema()


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_task_refuses_what_is_too_much_in_a_short_message(name):
    about = ALL[name]
    for value in HUGE:
        if value is True and isinstance(about.kind, Flag):
            continue
        for given in [value, [value] * 3, {"a": {"b": value}}, [[[value]]]]:
            if name == "why" and given == "9" * 10_000:
                continue
            found = about.problem(given)
            assert found is not None, given
            assert found.startswith(f"{name}=")
            assert len(found) < LONGEST_MESSAGE


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_form_and_task_agree_at_the_bounds(name):
    about = NUMBERS[name]
    numbers = about.kind.of if isinstance(about.kind, Several) else about.kind
    for value in (numbers.low, numbers.low - 1, numbers.high, numbers.high + 1):
        given = [value] if isinstance(about.kind, Several) else value
        allowed = jsonschema.Draft7Validator(about.schema()).is_valid(json.loads(json.dumps(given)))
        assert (about.problem(given) is None) == allowed == (value in (numbers.low, numbers.high))


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize(
    "value", [True, False, "5", "", None, [], {}, float("nan"), float("inf"), -float("inf"), 10**400, [True], ["7"]]
)
def test_no_number_is_a_number_for_form_or_task(name, value):
    about = NUMBERS[name]
    allowed = value is None and about.default is None
    assert (about.problem(value) is None) == allowed
    assert jsonschema.Draft7Validator(about.schema()).is_valid(value) == allowed


def test_five_point_nought_is_a_whole_number_and_a_half_is_none():
    whole = Whole(1, 9)
    assert (whole.allows(5.0), whole.read(5.0), type(whole.read(5.0))) == (True, 5, int)
    assert whole.problem(5.5) == "5.5: expected a whole number from 1 to 9"
    assert [whole.parse(text) for text in ("5", "-5", "5.0", "\u0665", " 5", "")] == [5, -5, "5.0", "\u0665", " 5", ""]


def test_a_list_has_a_longest_length_in_form_and_task():
    schema = ALL["windows_days"].schema()
    for n in (20, 21):
        given = list(range(1, n + 1))
        assert jsonschema.Draft7Validator(schema).is_valid(given) == (n == 20)
    assert RetrainConfig.from_params({"windows_days": list(range(1, 21))}).popularity.windows_days[-1] == 20
    with pytest.raises(ConfigError, match=r"windows_days=.* \(21 values\): expected a list of 1 to 20"):
        RetrainConfig.from_params({"windows_days": list(range(1, 22))})
    with pytest.raises(ConfigError, match="not allowed in it: 40000, 'x'; expected a list"):
        RetrainConfig.from_params({"windows_days": [*range(1, 18), 40_000, "x"]})


@pytest.mark.parametrize(
    "search",
    ["alpha", ["alpha"] * 1000, ["x" * 10**6], [["alpha"]], [{"a": 1}], [None], {"alpha": 1}, 7, [10**400]],
    ids=kind,
)
def test_a_search_space_is_a_short_list_of_names(search):
    with pytest.raises(ConfigError) as caught:
        TuneConfig.read({"search": search})
    (problem,) = caught.value.problems
    assert problem.startswith("search=")
    assert len(problem) < LONGEST_MESSAGE
    assert not jsonschema.Draft7Validator(ALL["search"].schema()).is_valid(search)


def test_a_search_has_rounds_for_all_of_its_trials():
    assert TuneConfig.read({"trials": 36, "trials_per_round": 3}).trials == 36
    with pytest.raises(ConfigError, match="trials=37: expected at most 36 at trials_per_round=3"):
        TuneConfig.read({"trials": 37, "trials_per_round": 3})


@pytest.mark.parametrize(
    "reason", ["x" * 501, "x" * 10**6, ["a reason, as a list"], 10**5000, " " * 40, "too short"], ids=kind
)
def test_a_reason_is_a_sentence(reason):
    problem = RUN["force_reason"].problem(reason)
    assert problem.startswith("force_reason=")
    assert "10 to 500 characters" in problem
    assert len(problem) < LONGEST_MESSAGE
    assert RUN["force_reason"].problem("x" * 500) is None


@pytest.mark.parametrize("tuned", ["../../x", "newest\n", "x" * 10**6, ["newest"], 10**5000, ""], ids=kind)
def test_a_tuned_configuration_is_named_by_its_id(tuned):
    problem = RUN["tuned"].problem(tuned)
    assert problem.startswith("tuned=")
    assert len(problem) < LONGEST_MESSAGE
    assert [RUN["tuned"].problem(given) for given in ("newest", "20181001-0123456789ab", None)] == [None] * 3


def test_problems_of_a_conf_are_short_whatever_it_holds():
    conf = {"channel": "c" * 10**6, "as_of": "2018-01-01" + "0" * 10**6, "search": ["y" * 10**5] * 500, "z" * 10**5: 1}
    conf |= {f"no_such_{n}": n for n in range(1000)}
    found = problems(conf, ALL)
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
        "params": {"as_of": as_of, "channel": "staging"},
        "ti": SimpleNamespace(task_id="t", try_number=1, map_index=-1),
        "dag": SimpleNamespace(params={}),
    }
    run = open_run(context, workspace=None)
    (problem,) = run.problems
    assert problem.startswith("as_of=")
    assert len(problem) < LONGEST_MESSAGE
    assert (run.as_of, run.facts.channel) == (when, "staging")


def test_what_is_shown_is_short_whatever_it_is():
    for value in [*HUGE, {"a": [1] * 10**6}, [{"a": 1}] * 9, None, b"x" * 10**6, ("x" * 10**6,) * 9]:
        assert len(shown_value(value)) < 300
    assert (shown_value("production"), shown_value(7), shown_value([1, 2])) == ("'production'", "7", "[1, 2]")
