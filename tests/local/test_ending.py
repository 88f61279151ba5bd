"""How a run ended, in words."""

from pathlib import Path

from msgspec.structs import replace

from include.recommender.registry.moves import promote_command
from include.recommender.reporting.report import PublishedModel, Report, Stop
from include.recommender.runs.journal import RunFacts
from local.ending import Copies, ending, status

from ..documents import verdict
from ..reporting.runs import record

WHY = f"m1 was rolled back by ann (wrong). To bring it back: {promote_command('m1')}"
WHEN = "2018-03-01T00:00:00+00:00"
FACTS = RunFacts(
    dag_id="recommender_retrain",
    run_id="r",
    run_type="manual",
    run_date=WHEN,
    as_of=WHEN,
    snapshot=None,
    channel="production",
    params={},
    tuned="20180301-abc",
    tuned_values={"alpha": 7.0},
)
REASONS = ["2.7% below the champion, within tolerance", "better than popularity_30d by 40.0%"]
REPORT = Report(
    verdict=verdict(reasons=REASONS),
    model=PublishedModel(model_id="m1", uri="s3://shop/models/m1", verdict="PROMOTE", why=WHY),
    run=FACTS,
)
COPIES = Copies("s3://shop/reports/r/report.html", Path("report.html"), None)


def test_the_command_it_names_is_one_that_finds_the_local_s3():
    output = ending(REPORT, COPIES, "m0")
    assert "production still points to m0; not moved: m1 was rolled back by ann (wrong)." in output
    assert output.splitlines()[-5].endswith("To bring it back: make registry ARGS='promote m1 --why ...'")
    assert "python -m" not in output
    assert "Result:  PROMOTE: 2.7 % below the champion, within tolerance; better than popularity, 30 days by" in output


def test_a_tuned_configuration_is_named_where_something_of_it_was_used():
    assert "Tuned:   20180301-abc" in ending(REPORT, COPIES, "m0").splitlines()
    unused = replace(REPORT, run=replace(FACTS, tuned_values={}))
    assert "Tuned:" not in ending(unused, COPIES, "m0")


def test_it_reports_the_verdict_what_was_reused_and_the_channel():
    tasks = [
        record("parse_reviews", reused=True, artifacts={"a": "s3://shop/a"}),
        record("evaluate", artifacts={"b": "s3://shop/b"}),
    ]
    held = Report(verdict=verdict(decision="HOLD", reasons=["not enough evidence"]), tasks=tasks)
    copies = Copies(COPIES.uri, COPIES.report, Path("trend.html"))
    text = ending(held, copies, "a-model")
    assert "HOLD" in text
    assert "not enough evidence" in text
    assert "Reused:  parse_reviews\n" in text
    assert "Made:    evaluate\n" in text
    assert "none published" in text
    assert "Channel: production still points to a-model\n" in text
    assert "Channel: production points nowhere yet\n" in ending(held, COPIES, None)
    assert "Trend:   trend.html\n" in text
    assert status(held) == 0


def test_it_reports_an_error():
    broken = Report(error=Stop("parse_reviews", "DataError", "truncated"))
    assert "Error in parse_reviews: DataError: truncated" in ending(broken, COPIES, None)
    assert status(broken) == 1


def test_of_an_unchanged_run_it_reports_the_channel_and_how_to_train_again():
    same = Report(unchanged="a-model", run=replace(FACTS, channel="staging", tuned_values={}))
    text = ending(same, COPIES, "a-model")
    assert "Channel: staging still points to a-model\n" in text
    assert """make run CONF='{"force": true}'""" in text
