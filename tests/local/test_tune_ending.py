"""What the end of a search prints."""

from pathlib import Path

from include.recommender.config import TuneConfig
from include.recommender.registry.verdict import Interval
from include.recommender.runs.journal import TaskError, TaskRecord
from include.recommender.tuning.records import TrialResult, TuneReport
from local.tune_ending import tune_ending

from ..documents import choice, evidence


def result(number, objective, pruned=False):
    return TrialResult(
        number=number,
        values={"alpha": 10.0 + number},
        recalls=[objective],
        objective=objective,
        coverage=0.2,
        pruned=pruned,
        seconds=1.0,
        artifacts=[],
    )


def chosen(**more):
    low = {"searched": 0.002, "confirmed": -0.001, "alone": -0.002}
    intervals = {name: Interval(0.01, each, 0.02) for name, each in low.items()}
    return choice(number=7, confirmed_covers=(0.1234, 0.25), **intervals, **more)


def report(better, **more):
    results = [result(0, 0.1), *(result(n, 0.1 + n / 100) for n in range(1, 8)), result(8, 0.9, pruned=True)]
    fields = {"results": results, "choice": chosen(better=better), "tuned": "20180901-0123456789ab", **more}
    return TuneReport(plan=evidence().plan, top_k=10, level=0.95, search=TuneConfig(), **fields)


def test_the_best_and_the_defaults_are_shown_and_the_command_only_where_it_is_better():
    output = tune_ending(report(better=True), Path("report.html"))
    rows = [line.split()[0] for line in output.splitlines() if "alpha" in line]
    assert rows == ["7", "6", "5", "4", "3", "0"]
    assert "9 configurations tried, 1 of them stopped early" in output
    assert "trial 7 is better than the defaults" in output
    assert "+0.0100, 95 % (+0.0020, +0.0200), which favours it" in output
    assert "+0.0100, 80 % (-0.0010, +0.0200), which no trial was chosen on" in output
    assert " 95 % (-0.0020, +0.0200), which is enough by itself if above 0" in output
    assert "Kept as: 20180901-0123456789ab" in output
    assert """make run CONF='{"tuned": "newest"}'""" in output
    output = tune_ending(report(better=False), Path("report.html"))
    assert "trial 7 is not shown to beat the defaults" in output
    assert "as a record: newest does not take it" in output
    assert "make run" not in output
    assert "0.123, of the defaults 0.250" in output


def test_a_winner_that_covers_too_little_is_not_called_unproven():
    narrow = chosen(better=False, too_narrow=True)
    output = tune_ending(report(better=False, choice=narrow), Path("report.html"))
    assert "trial 7 recommends better than the defaults, but covers too little of the catalogue" in output
    assert "not shown" not in output


def test_where_the_defaults_are_the_best_they_stay():
    output = tune_ending(report(False, choice=choice(number=0, better=False)), Path("report.html"))
    assert "they stay" in output


def test_a_search_that_failed_says_where_and_why():
    reason = TaskError("DataError", "too few instants")
    when = "2018-09-01T00:00:00+00:00"
    error = TaskRecord(task="plan", state="failed", try_number=1, started_at=when, error=reason)
    output = tune_ending(report(False, results=[], choice=None, tuned=None, error=error), Path("report.html"))
    assert "Error in plan: DataError: too few instants" in output
    assert output.endswith("Report:  report.html")
