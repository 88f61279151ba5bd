"""The page of a search, up to where it came."""

import pytest
from msgspec.structs import replace

from include.recommender.config import TuneConfig
from include.recommender.errors import DataError
from include.recommender.registry.verdict import Interval
from include.recommender.runs.journal import RunFacts, TaskError, TaskRecord
from include.recommender.storage.documents import to_json
from include.recommender.tuning.records import Plan, TrialResult, TuneReport
from include.recommender.tuning.search_report import read_report, render

from ..documents import changed, choice

NAMES = ["alpha", "prior_half_life_days"]
INTERVAL = Interval(0.01, 0.002, 0.018)
WHEN = "2018-09-01T00:00:00+00:00"
RESULTS = [
    TrialResult(
        number=n,
        values={"alpha": 10.0 + n, "prior_half_life_days": 30.0},
        recalls=[0.1 + n / 100] * 3,
        objective=0.1 + n / 100,
        coverage=0.2,
        pruned=n == 3,
        seconds=1,
        artifacts=[],
    )
    for n in range(6)
]
CHOICE = choice(
    trials=6,
    number=5,
    values=RESULTS[5].values,
    searched=INTERVAL,
    confirmed=INTERVAL,
    alone=INTERVAL,
    by_split=[INTERVAL] * 3,
)
WHOLE = TuneReport(
    run=RunFacts(
        dag_id="recommender_tune",
        run_id="manual <1>",
        run_type="manual",
        run_date=WHEN,
        as_of=WHEN,
        snapshot=None,
        channel="production",
        params={},
    ),
    plan=Plan(
        names=NAMES,
        defaults=RESULTS[0].values,
        folds=["s3://b/1", "s3://b/2"],
        confirm="s3://b/3",
        split_s=1_535_760_000,
        holdouts=[(1_530_000_000, 1_532_000_000), (1_528_000_000, 1_530_000_000), (1_532_000_000, 1_535_760_000)],
    ),
    top_k=10,
    level=0.95,
    snapshot="2018-09-01",
    generated_sample=True,
    search=TuneConfig(),
    results=RESULTS,
    importances={"alpha": 0.9, "prior_half_life_days": 0.1},
    choice=CHOICE,
    tuned="20180901-0123456789ab",
    defaults=RESULTS[0].values,
)


def report(**change):
    return replace(WHOLE, **change)


def test_it_is_read_as_it_was_written():
    assert read_report(to_json(WHOLE), "s3://b/tuning.json") == WHOLE
    with pytest.raises(DataError, match=r"s3://b/tuning.json: not the report of a search \(level: .*Clear the task"):
        read_report(to_json(report(level=2.0)), "s3://b/tuning.json")


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
        "to <code>newest</code> or to this id",
        "+0.0100, 95 % (+0.0020, +0.0180)",
        "+0.0100, 80 % (+0.0020, +0.0180)",
        "are not real",
        "2018-09-01 00:00 UTC",
    ):
        assert text in page, text
    for name in ("search", "importance", "slices", "against"):
        assert f'id="{name}-' in page, name
    assert render(report()) == page


def test_a_search_among_families():
    families, names = ["blend", "als", "knn"], ["family", "alpha"]
    rows = [changed(row, values={"alpha": 5.0, "family": families[row.number % 3]}) for row in RESULTS]
    found = report(results=rows, plan=changed(WHOLE.plan, names=names, defaults=rows[0].values))
    assert read_report(to_json(found), "s3://b/tuning.json") == found
    page = render(found)
    assert '<td class="num">blend</td><td class="num">5</td>' in page
    assert "against family, alpha" in page


def test_the_page_says_which_models_the_newest_split_compared():
    knn = changed(CHOICE.confirmed_choices[0], family="knn")
    page = render(report(choice=changed(CHOICE, confirmed_choices=(knn, CHOICE.confirmed_choices[1]))))
    best = "item-kNN, ageing 120 days, prior power 0.35, prior half-life 30 days"
    assert f"The best is {best} there; the defaults are ALS with 64" in page


@pytest.mark.parametrize(("too_narrow", "word"), [(True, "COVERS TOO LITTLE"), (False, "NO EVIDENCE OF BETTER")])
def test_a_winner_that_is_not_taken_says_why(too_narrow, word):
    page = render(report(choice=changed(CHOICE, better=False, too_narrow=too_narrow)))
    assert word in page
    assert "To retrain with it" not in page


def test_the_defaults_may_be_the_best():
    page = render(report(choice=changed(CHOICE, number=0, better=False)))
    assert "THE DEFAULTS STAY" in page
    assert "<code>newest</code> does not use it" in page
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
    reason = TaskError("DataError", "too <few>")
    error = TaskRecord(task="plan", state="failed", try_number=1, started_at=WHEN, error=reason)
    assert "too &lt;few&gt;" in render(report(**gone, error=error))
    assert "NOT ENDED" in render(report(**gone))


def test_each_split_has_its_dates():
    page = render(report())
    assert "split 2, held out 2018-06-03 04:26:40 UTC to 2018-06-26 08:00 UTC" in page
    assert "newest split, held out 2018-07-19 11:33:20 UTC to 2018-09-01 00:00 UTC" in page
