"""The chart of Recall@K over as_of: what it reads, and what it shows of it."""

import copy
import json
from datetime import datetime

import pytest

from include.recommender.registry.registry import Actor, Registry
from include.recommender.reporting import trend, trend_plot
from include.recommender.reporting.trend import points, read_runs, render_trend, write_trend

from ..registry import makers


@pytest.fixture
def registry(workspace):
    return Registry(workspace.root)


def put_report(workspace, report, name, as_of, channel="production", **changes):
    body = copy.deepcopy(report) | changes
    body["run"] |= {"as_of": as_of, "channel": channel}
    if "fold" not in changes:
        body["fold"] = {"last_s": int(datetime.fromisoformat(as_of).timestamp()) - 1}
    workspace.root.write(f"reports/{name}/report.json", json.dumps(body).encode())
    return body


def test_runs_are_listed_by_as_of_with_their_outcome_and_the_state_of_their_version(workspace, registry, report):
    a, b, c = makers.M1, makers.M2, makers.M3
    makers.line(registry, a, b, c)
    registry.rollback("production", by=Actor("ann", "bad"))
    for number, name in ((3, c), (2, b)):
        put_report(workspace, report, f"backfill__2018-09-0{number}", makers.day(number), model={"model_id": name})
    error = {"task": "parse_reviews", "kind": "DataError", "message": "truncated"}
    put_report(workspace, report, "manual__x", makers.day(4), error=error, verdict=None, model=None, judged=None)
    held = report["verdict"] | {"decision": "HOLD"}
    put_report(workspace, report, "manual__y", makers.day(5), verdict=held, model=None)
    found = points(workspace.root, "production")
    assert [(point.as_of[8:10], point.outcome, point.live) for point in found] == [
        ("01", "PROMOTE", "was live"),
        ("02", "PROMOTE", "live"),
        ("03", "PROMOTE", "rolled back"),
        ("04", "ERROR", ""),
        ("05", "HOLD", ""),
    ]
    gone, there, failed = found[0], found[1], found[3]
    assert (gone.report, gone.candidate, gone.model_id) == (None, 0.25, a)
    assert there.candidate == report["verdict"]["candidate_recall"]
    assert there.report == "backfill__2018-09-02/report.html"
    assert failed.candidate is None


def test_other_channels_and_runs_without_a_verdict_are_left_out(workspace, report):
    put_report(workspace, report, "a", makers.day(1), channel="staging")
    put_report(workspace, report, "b", makers.day(2), verdict=None, error=None, model=None)
    workspace.root.write("reports/c/report.json", b"{ not JSON")
    workspace.root.write("reports/trend.html", b"an older page")
    assert points(workspace.root, "production") == []
    assert len(points(workspace.root, "staging")) == 1


def test_no_more_reports_are_read_than_said(workspace, report, monkeypatch):
    monkeypatch.setattr(trend, "NEWEST", 3)
    for number in range(1, 8):
        put_report(workspace, report, f"scheduled__2018-09-0{number}", makers.day(number))
    assert [point.as_of[8:10] for point in points(workspace.root, "production")] == ["05", "06", "07"]


def test_the_page_draws_one_k_and_links_each_report(workspace, report):
    put_report(workspace, report, "a__1", makers.day(1), verdict=report["verdict"] | {"top_k": 20})
    put_report(workspace, report, "a__2", makers.day(2))
    put_report(workspace, report, "a__3", makers.day(3))
    uri = write_trend(workspace.root, "production")
    page = workspace.root.read("reports/trend.html").decode()
    assert uri == workspace.root.uri("reports/trend.html")
    assert page.count("<svg") == 2  # one for a wide page, one for a narrow one
    assert "1 run with another K than 10 is in the table only" in page
    assert page.index('href="./a__3/report.html"') < page.index('href="./a__1/report.html"')
    assert "over 2 judged runs" in page
    assert page == render_trend(read_runs(workspace.root, "production"), "production")


def test_hostile_text_is_escaped_and_nothing_judged_is_said(workspace, report):
    error = {"task": "x", "kind": "x", "message": "y"}
    hostile = {"snapshot": "<script>"}
    put_report(workspace, report, "a", makers.day(1), error=error, verdict=None, snapshot=hostile, judged=None)
    page = render_trend(read_runs(workspace.root, "production"), "<b>")
    assert "<script>" not in page
    assert "channel &lt;b&gt;" in page
    assert "No run was judged yet." in page


def test_each_channel_has_its_page(workspace, report):
    put_report(workspace, report, "a", makers.day(1), channel="staging")
    assert write_trend(workspace.root, "staging").endswith("reports/trend-staging.html")


def test_a_run_that_was_not_judged_does_not_stretch_the_axis(workspace, report, monkeypatch):
    reached = []
    monkeypatch.setattr(
        trend_plot, "limits", lambda judged, real=trend_plot.limits: reached.append(real(judged)) or reached[-1]
    )
    put_report(workspace, report, "manual__1", makers.day(1))
    error = {"task": "resolve_snapshot", "kind": "NotFound", "message": "no such snapshot"}
    put_report(
        workspace, report, "manual__2", "1018-09-01T00:00:00+00:00", error=error, verdict=None, judged=None, fold=None
    )
    page = render_trend(read_runs(workspace.root, "production"), "production")
    assert "1018-09-01" in page
    assert reached[0][0].year == 2018


def test_the_line_takes_the_newest_run_of_an_as_of_whatever_its_type(workspace, report, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        trend_plot, "line", lambda newest, name, real=trend_plot.line: drawn.setdefault(name, real(newest, name))
    )
    for run, recall in (("scheduled__2018-01-01", 0.1), ("backfill__2018-01-02", 0.2), ("manual__2017-12-31", 0.3)):
        verdict = report["verdict"] | {"candidate_recall": recall}
        put_report(workspace, report, run, makers.day(1), verdict=verdict)
    page = render_trend(read_runs(workspace.root, "production"), "production")
    assert drawn["candidate"][1] == [0.2]
    assert "over 3 judged runs" in page


@pytest.mark.parametrize(("years", "pieces"), [((2018, 2018), 1), ((2018, 2019), 1), ((2018, 2026), 2)])
def test_a_line_is_not_drawn_across_years_without_a_run(workspace, report, years, pieces):
    for number, year in enumerate(years):
        put_report(workspace, report, f"scheduled__{number}", f"{year}-09-0{number + 1}T00:00:00+00:00")
    when, values = trend_plot.line(points(workspace.root, "production"), "candidate")
    assert len([value for value in values if value == value]) == len(years)
    assert len(values) == len(when) == len(years) + pieces - 1
    assert when == sorted(when)


def test_every_judged_run_has_a_mark_also_one_that_a_person_refused(workspace, report):
    def marks(page):
        return page.count("<use ")

    put_report(workspace, report, "manual__1", makers.day(1))
    one = marks(render_trend(read_runs(workspace.root, "production"), "production"))
    error = {"task": "approve", "kind": "GateRejected", "message": "Rejected by ann: nothing is published."}
    put_report(workspace, report, "manual__2", makers.day(1), error=error, model=None)
    assert (
        marks(render_trend(read_runs(workspace.root, "production"), "production")) == one + 2
    )  # one in each of the two charts


def test_time_is_that_of_the_data_whatever_the_date_of_the_run(workspace, report):
    for number in (1, 2):
        known = {"last_s": 1_500_000_000 - number * 86_400}
        put_report(workspace, report, f"scheduled__2026-11-0{number}", f"2026-11-0{number}T00:00:00+00:00", fold=known)
    found = points(workspace.root, "production")
    assert [point.as_of[:10] for point in found] == ["2026-11-02", "2026-11-01"]
    low, high = trend_plot.limits(found)
    assert (low.year, high.year) == (2017, 2017)
    assert "2017-07-13 02:40 UTC" in render_trend(read_runs(workspace.root, "production"), "production")


def test_unchanged_runs_are_in_the_table_with_what_their_version_knew(workspace, registry, report):
    a = makers.M1
    makers.line(registry, a)
    put_report(workspace, report, "scheduled__1", makers.day(1), model={"model_id": a})
    same = dict.fromkeys(("verdict", "judged", "model", "fold", "error")) | {"unchanged": str(a)}
    put_report(workspace, report, "scheduled__2", makers.day(9), **same)
    held = report["verdict"] | {"decision": "HOLD"}
    put_report(workspace, report, "scheduled__3", makers.day(8), verdict=held, model=None)
    first, unchanged, _ = points(workspace.root, "production")
    assert (unchanged.outcome, unchanged.live, unchanged.model_id) == ("UNCHANGED", "live", a)
    assert unchanged.known_s == first.known_s
    page = render_trend(read_runs(workspace.root, "production"), "production")
    assert "UNCHANGED" in page
    assert "over 2 judged runs" in page


def test_an_unchanged_run_does_not_hide_its_version_whose_report_is_gone(workspace, registry, report):
    a = makers.M1
    makers.line(registry, a)
    known_s = int(a.known_until.timestamp()) - 1
    same = dict.fromkeys(("verdict", "judged", "model", "fold", "error")) | {"unchanged": str(a)}
    put_report(workspace, report, "scheduled__2", makers.day(9), **same)
    assert {(point.outcome, point.known_s) for point in points(workspace.root, "production")} == {
        ("PROMOTE", known_s),
        ("UNCHANGED", known_s),
    }


def test_an_error_before_any_data_was_read_knows_nothing(workspace, report):
    held = report["verdict"] | {"decision": "HOLD"}
    put_report(workspace, report, "scheduled__1", makers.day(1), verdict=held, model=None)
    error = {"task": "resolve_snapshot", "kind": "NotFound", "message": "no such snapshot"}
    put_report(workspace, report, "scheduled__2", makers.day(2), error=error, verdict=None, model=None, fold=None)
    assert [point.known_s is None for point in points(workspace.root, "production")] == [False, True]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"run": 3}',
        b'{"run": {"as_of": "soon", "channel": "production"}}',
        b'{"run": {"as_of": "2018-09-01", "channel": "production"}, "fold": {"last_s": "x"}}',
        b'{"run": {"as_of": "2018-09-01", "channel": "production"}, "fold": {"last_s": 1e300}}',
        b'{"run": {"as_of": "2018-09-01", "channel": "production"}, "model": {"model_id": ["x"]}}',
        b'{"verdict": {"candidate_recall": NaN}}',
        b"[]",
        b"\xff",
    ],
)
def test_a_report_that_is_none_is_left_out_and_named(workspace, report, raw):
    put_report(workspace, report, "scheduled__1", makers.day(1))
    workspace.root.write("reports/<b>odd/report.json", raw)
    runs = read_runs(workspace.root, "production")
    assert len(runs.points) == 1
    assert list(runs.unreadable) == ["<b>odd"]
    page = render_trend(runs, "production")
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd" in page


def test_a_folder_that_would_be_a_scheme_in_a_link_is_left_out(workspace, report):
    put_report(workspace, report, "javascript:alert(1)", makers.day(1))
    put_report(workspace, report, "a b#c?d%", makers.day(1))
    page = render_trend(read_runs(workspace.root, "production"), "production")
    assert "javascript" not in page
    assert 'href="./a%20b%23c%3Fd%25/report.html"' in page


def test_generated_reviews_are_named_as_such_over_time_too(workspace, report):
    put_report(workspace, report, "a", makers.day(1), generated_sample=True)
    assert "Generated sample reviews" in render_trend(read_runs(workspace.root, "production"), "production")
