"""The page of a search, up to where it came."""

import pytest

from include.recommender.config import TuneConfig
from include.recommender.tuning.report import render
from include.recommender.tuning.study import Result

NAMES = ["alpha", "prior_half_life_days"]
INTERVAL = {"mean": 0.01, "low": 0.002, "high": 0.018}


def report(**change):
    results = [
        Result(
            n, {"alpha": 10.0 + n, "prior_half_life_days": 30.0}, [0.1 + n / 100] * 3, 0.1 + n / 100, 0.2, n == 3, 1, []
        )
        for n in range(6)
    ]
    choice = {
        "trials": 6,
        "number": 5,
        "values": results[5].values,
        "better": True,
        "too_narrow": False,
        "searched": INTERVAL,
        "confirmed": INTERVAL,
        "alone": INTERVAL,
        "alone_level": 0.95,
        "by_cut": [INTERVAL] * 3,
        "default_recall": 0.1,
        "best_recall": 0.15,
        "confirmed_default": 0.11,
        "confirmed_best": 0.12,
        "searched_users": 1234,
        "confirmed_users": 456,
        "confirmed_covers": (0.21, 0.25),
    }
    return {
        "run": {"as_of": "2018-09-01T00:00:00+00:00", "run_id": "manual <1>"},
        "tasks": [],
        "error": None,
        "plan": {"names": NAMES, "folds": ["s3://b/1", "s3://b/2"], "confirm": "s3://b/3", "cut_s": 1_535_760_000}
        | {
            "holdouts": [[1_530_000_000, 1_532_000_000], [1_528_000_000, 1_530_000_000], [1_532_000_000, 1_535_760_000]]
        },
        "top_k": 10,
        "level": 0.95,
        "snapshot": "2018-09-01",
        "generated_sample": True,
        "search": vars(TuneConfig()),
        "results": [row.as_dict() for row in results],
        "importances": {"alpha": 0.9, "prior_half_life_days": 0.1},
        "choice": choice,
        "tuned": "20180901-0123456789ab",
        "defaults": results[0].values,
        "unreadable": {},
    } | change


def test_a_whole_search():
    page = render(report())
    for text in (
        "BETTER THAN THE DEFAULTS",
        "manual &lt;1&gt;",
        "5</th>",
        "0 (defaults)",
        "stopped early",
        "1,234 judgements of users",
        "21.0 % of the catalogue",
        "<code>newest</code> or this id",
        "+0.0100, 95 % (+0.0020, +0.0180)",
        "+0.0100, 80 % (+0.0020, +0.0180)",
        "are not real",
        "2018-09-01 00:00 UTC",
    ):
        assert text in page, text
    for name in ("search", "importance", "slices", "against"):
        assert f'id="{name}-' in page, name
    assert render(report()) == page


@pytest.mark.parametrize(("too_narrow", "word"), [(True, "COVERS TOO LITTLE"), (False, "NO EVIDENCE OF BETTER")])
def test_a_winner_that_is_not_taken_says_why(too_narrow, word):
    choice = report()["choice"] | {"better": False, "too_narrow": too_narrow}
    page = render(report(choice=choice))
    assert word in page
    assert "To retrain with it" not in page


def test_the_defaults_may_be_the_best():
    choice = report()["choice"] | {"number": 0, "better": False}
    page = render(report(choice=choice))
    assert "THE DEFAULTS STAY" in page
    assert "<code>newest</code> does not take it" in page
    assert "To retrain with it" not in page


@pytest.mark.parametrize(
    "gone",
    [
        {"choice": None, "tuned": None},
        {"choice": None, "tuned": None, "results": [], "importances": {}},
        {"choice": None, "tuned": None, "results": [], "importances": {}, "plan": None, "run": None},
    ],
)
def test_any_part_may_be_missing(gone):
    error = {"task": "plan", "error": {"kind": "DataError", "message": "too <few>"}}
    assert "too &lt;few&gt;" in render(report(**gone, error=error))
    assert "NOT ENDED" in render(report(**gone))


def test_each_cut_has_its_dates_and_a_report_from_before_they_were_kept_has_none():
    page = render(report())
    assert "cut 2, held out 2018-06-03 04:26:40 UTC to 2018-06-26 08:00 UTC" in page
    assert "newest cut, held out 2018-07-19 11:33:20 UTC to 2018-09-01 00:00 UTC" in page
    older = report()
    older["plan"] = {name: value for name, value in older["plan"].items() if name != "holdouts"}
    assert "held out 20" not in render(older)


def test_a_search_from_before_the_newest_cut_could_say_so_by_itself_is_still_shown():
    older = report()
    older["choice"] = {name: value for name, value in older["choice"].items() if not name.startswith("alone")}
    assert "newest cut, 95 %" in render(report())
    assert "newest cut, 95 %" not in render(older)
