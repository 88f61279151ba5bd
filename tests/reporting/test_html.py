"""The page: whole, self-contained, safe, the same bytes, and there for every run."""

import copy
import re
from html.parser import HTMLParser

import pytest

from include.recommender.models.rivals import RIVALS
from include.recommender.reporting import plots
from include.recommender.reporting.pages import TITLES, prose
from include.recommender.reporting.plots import _VARIABLES
from include.recommender.reporting.view import headline, summary_sentences

from .conftest import DRAWN_ONCE
from .runs import failed, render_html, typed, without

pytestmark = pytest.mark.usefixtures("_plots_drawn_once")

SECTIONS = ["verdict", "models", "data", "chosen", "training", "history", "served", "beyond", "lineage", "tasks"]
# What is not shown, rather than shown empty, where a part of the report is missing.
GONE_WITH = {
    "chosen": {"chosen"},
    "training": {"training"},
    "judged": {"models", "history", "served", "beyond"},
}
VOID = {"meta", "link", "br", "hr", "img", "input"}
PLOTS = ["differences", "recalls", "funnel", "tried", "training", "history", "shown", "tasks"]


class Page(HTMLParser):
    """Collects tags and texts; fails on a tag that is closed out of order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text += data

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]


def test_it_has_all_sections_and_plots_and_each_plot_is_described(report):
    page = Page(render_html(report))
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == SECTIONS
    plots = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(plots) == len(PLOTS)
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 30 for plot in plots)
    assert "popularity, all time" in page.text


def test_it_shows_what_the_snapshot_checks_compared(report):
    checks = [
        {"what": "reviews", "before": "1,000", "now": "1,100", "allowed": "at least 800", "passed": True},
        {"what": "items", "before": "100", "now": "10", "allowed": "at least 80", "passed": False},
    ]
    assert "Against the snapshot before" not in Page(render_html(report)).text
    page = Page(render_html({**report, "compared": checks}))
    assert "reviews1,0001,100at least 800ok" in page.text
    assert "items10010at least 80collapsed" in page.text


def test_it_warns_of_users_of_two_generations_that_do_not_meet(report):
    assert "users do not meet" not in Page(render_html(report)).text
    mixed = {"users_by_layout": {"older": 9, "newer": 8, "both": 0}, "layout_files": {"2018": ["a"], "2023": ["b"]}}
    text = Page(render_html({**report, "funnel": {**report["funnel"], **mixed}})).text
    assert "The snapshot mixes layouts whose users do not meet: 9 users" in text


def test_it_needs_nothing_from_outside_and_runs_nothing(report):
    text = render_html(report)
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert all(target.startswith(("#", "../trend")) for target in page.attributes("href"))
    assert page.attributes("src") == []
    assert re.findall(r"url\((?!#)|@import", text) == []
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


def test_ids_are_unique_and_every_reference_has_its_target(report):
    text = render_html(report)
    page = Page(text)
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    used = {target[1:] for target in page.attributes("href") if target[0] == "#"} | set(
        re.findall(r"url\(#([^)]+)\)", text)
    )
    assert used <= set(ids)


def test_colours_are_those_of_the_page(report):
    text = render_html(report)
    assert not [colour for colour in _VARIABLES if colour in text]
    svg = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", svg) == []
    assert set(re.findall(r"var\((--\w+)\)", svg)) == set(_VARIABLES.values())
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_same_report_gives_the_same_bytes(report, monkeypatch):
    for name, kept in DRAWN_ONCE.items():
        monkeypatch.setattr(plots, name, kept.__wrapped__)
    assert render_html(report) == render_html(report)


def test_hostile_text_stays_text(report):
    evil = "<script>alert(1)</script>\"'&$x$"
    report["funnel"]["reasons"] = {evil: 3}
    report["files"] = [evil]
    report["champion"] = evil
    report["verdict"]["reasons"] = [evil]
    report["verdict"]["forced"] = evil
    report["chosen"]["why"] = evil
    report["error"] = {"task": evil, "kind": evil, "message": evil}
    report["run"]["run_id"] = evil
    report["unreadable"] = {"evaluate": evil}
    report["tasks"][0]["task"] = evil
    text = render_html(report)
    page = Page(text)
    assert "<script" not in text
    assert page.text.count(evil) >= 9


@pytest.mark.parametrize(
    "section",
    [
        "run",
        "tasks",
        "snapshot",
        "files",
        "funnel",
        "fold",
        "refitted",
        "chosen",
        "training",
        "judged",
        "judged_users",
        "recall_intervals",
        "champion",
        "verdict",
        "table",
        "model",
        "lineage",
        "configuration",
        "code_version",
        "libraries",
        "unreadable",
    ],
)
def test_any_section_may_be_missing(report, section):
    page = Page(render_html(without(report, section)))
    left = [each for each in SECTIONS if each not in GONE_WITH.get(section, ())]
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == left


def test_a_run_that_stopped_early_says_how_far_it_came(report):
    early = without(report, "funnel", "fold", "training", "judged", "verdict", "table", "model", "recall_intervals")
    early["error"] = {"task": "parse_reviews", "kind": "DataError", "message": "a.gz: truncated. Download it again."}
    page = Page(render_html(early))
    for words in ("ERROR", "stopped at parse_reviews", "a.gz: truncated. Download it again.", "Nothing was published"):
        assert words in page.text
    assert "The run did not reach training, judging." in page.text
    assert {attrs["id"] for tag, attrs in page.tags if tag == "section"} == {
        "verdict",
        "data",
        "chosen",
        "lineage",
        "tasks",
    }


def refused(task, message):
    return {"error": {"task": task, "kind": "GateRejected", "message": message}, "model": None}


@pytest.mark.parametrize(
    ("change", "word", "expected"),
    [
        ({}, "PROMOTE", "production now points to 20180901-abc"),
        ({"error": {"task": "promote_model", "kind": "x", "message": "y"}}, "ERROR", "no channel was moved"),
        (refused("approve", "Rejected by ann: no"), "REJECTED BY A PERSON", "Nothing was published"),
        (refused("approve", "Nobody answered within 1 day"), "NOT APPROVED IN TIME", "Nothing was published"),
        (refused("promote_model", "REJECT: ..."), "NOT PROMOTED", "Nothing was published"),
        ({"model": None, "finished": False}, "RUNNING", "Nothing is published so far"),
        ({"model": None, "verdict": None}, "NO VERDICT", "Nothing was published"),
    ],
)
def test_the_headline_says_what_happens_now(report, change, word, expected):
    found = headline(typed(report | change))
    assert found.word == word
    assert expected in found.sentence


@pytest.mark.parametrize(("decision", "tone"), [("HOLD", "warn"), ("REJECT", "warn")])
def test_a_refusal_is_reported_as_a_result(report, decision, tone):
    report["model"] = None
    report["verdict"]["decision"] = decision
    record = failed("recall_gate", "GateRejected", "...")
    gate = next(row for row in report["tasks"] if row["task"] == "recall_gate")
    gate |= {"state": record.state, "error": {"kind": "GateRejected", "message": "..."}}
    assert (headline(typed(report)).word, headline(typed(report)).tone) == (decision, tone)
    page = Page(render_html(report))
    assert "production stays where it was" in page.text
    assert "not promoted" in page.text


def test_a_forced_promotion_is_not_shown_as_a_success(report):
    report["verdict"] |= {"decision": "HOLD", "forced": "first model of a new shop"}
    found = headline(typed(report))
    assert (found.word, found.tone) == ("HOLD, FORCED", "warn")
    assert "first model of a new shop" in render_html(report)


def test_a_model_that_left_production_alone_says_why(report):
    report["model"] |= {"promoted": False, "why": "production has a newer one"}
    assert "no channel was moved: production has a newer one" in headline(typed(report)).sentence


def test_the_verdict_speaks_of_coverage_and_of_what_is_live(report):
    text = " ".join(Page(render_html(report)).text.split())
    assert f"It was not compared with a live model: {report['champion']}." in text
    verdict = report["verdict"] | {"champion_recall": 0.1}
    own, theirs = (report["judged"][name]["means"]["coverage@10"] for name in ("candidate", verdict["baseline"]))
    assert f"It recommends {own:.2%}".replace("%", " %") in text
    assert f"of the items in train to at least one of the {verdict['n_users']:,} judged users (popularity" in text
    assert f": {theirs:.2%}".replace("%", " %") in text
    for low, high, word in (
        (0.01, 0.03, "better:"),
        (-0.03, -0.01, "worse:"),
        (-0.01, 0.01, "not distinguish"),
    ):
        versus = {"mean": (low + high) / 2, "low": low, "high": high}
        compared = report | {"verdict": verdict | {"against_champion": versus}}
        output = plain(compared | {"champion_how": "published"})
        assert "by the factors that its own gate had judged, had 10.00 %." in output
        assert f"Against it the candidate is {word}" in output
        assert f"points, 95 % from {low * 100:+.2f} to {high * 100:+.2f}." in output
    output = plain(compared | {"champion_how": "refitted"})
    assert "live" not in output.split("had 10.00 %")[0].rsplit("points", 1)[-1]
    assert "fitted again on this train part, had 10.00 %." in output
    few = compared | {"verdict": compared["verdict"] | {"n_users": 99}}
    assert "is not distinguishable with so few users:" in plain(few | {"champion_how": "published"})


def plain(report):
    return " ".join(Page(render_html(report)).text.split())


def against(mean):
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}


def of_rivals(report, **means):
    """A report whose candidate has a Recall of 30 %, and these differences from rivals."""
    rivals = {name: against(mean) for name, mean in means.items()}
    return report | {"verdict": report["verdict"] | {"candidate_recall": 0.1 + 0.2, "n_users": 500, "rivals": rivals}}


def sentences(report):
    return " ".join(summary_sentences(typed(report)))


def test_the_verdict_speaks_of_the_stronger_rival(report):
    output = sentences(of_rivals(report, plain_als=0.05, item_knn=-0.02))
    assert (
        "Of the simple models item-kNN and plain ALS, item-kNN is the stronger one; it had 32.00 %. Against it the "
        "candidate is worse: -6.2 % of its Recall, that is -2.00 percentage points, 95 % from -3.00 to -1.00." in output
    )
    output = sentences(of_rivals(report, plain_als=-0.005, item_knn=0.1))
    assert "plain ALS is the stronger one; it had 30.50 %. Against it the candidate is not distinguishable" in output
    one = sentences(of_rivals(report, plain_als=0.05))
    assert "The simple model plain ALS had 25.00 %. Against it the candidate is better:" in one
    assert "simple model" not in sentences(of_rivals(report))
    assert "it had 0.00 %. Against it the candidate is better: +30.00 percentage points" in sentences(
        of_rivals(report, plain_als=0.4, item_knn=0.3)
    )


def test_rivals_are_thresholds_with_their_names_and_diamonds(report):
    report = of_rivals(report, plain_als=0.05, item_knn=-0.02)
    text = render_html(report)
    rows = re.findall(r"<tr><th scope=.row.>(95 % interval, minus [^<]*)</th>\s*(.*?)</tr>", text, re.DOTALL)
    cells = {name: re.sub(r"\s*<[^>]+>\s*", "|", rest) for name, rest in rows}
    assert "|missed|" in cells["95 % interval, minus item-kNN"]
    assert "|passed|" in cells["95 % interval, minus plain ALS"]
    assert "|not all below 0|" in cells["95 % interval, minus plain ALS"]
    decided = drawn_of(text, "differences").count("var(--ink)")
    assert decided > drawn_of(render_html(of_rivals(report)), "differences").count("var(--ink)")


def drawn_of(text, name):
    return next(svg for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL) if f'id="{name}-' in svg)


def test_the_verdict_names_the_coverage_of_rivals(report):
    for name in RIVALS:
        covers = report["judged"][name]["means"]["coverage@10"]
        assert f"{TITLES[name]}: {covers:.2%}".replace("%", " %") in sentences(report)


def test_a_report_without_rivals_says_nothing_of_them(report):
    for name in RIVALS:
        del report["judged"][name]
        del report["verdict"]["intervals"][name]
    report["verdict"]["rivals"] = {}
    output = plain(without(report, "table", "chosen", "configuration", "unreadable"))
    assert "plain ALS" not in output
    assert "item-kNN" not in output
    assert "simple model" not in output


def test_every_rival_has_a_title():
    assert set(RIVALS) <= set(TITLES)
    text = "worse than item_knn, worse than plain_als by 3%: not item_knn2"
    assert prose(text) == "worse than item-kNN, worse than plain ALS by 3 %: not item_knn2"


def test_an_unchanged_run_links_to_the_report_it_equals_and_has_no_empty_cards(report):
    report = without(report, "judged", "verdict", "fold", "funnel", "training", "model", "error")
    page = render_html(report | {"unchanged": "20180901-abc", "unchanged_report": "manual__1", "table": "THE TABLE"})
    assert 'href="../manual__1/report.html"' in page
    assert "THE TABLE" in page
    assert "did not reach judging" not in page
    assert "No model was trained" not in page
    assert 'id="lineage"' in page


def test_the_page_names_models_and_percent_in_one_way(report):
    page = Page(render_html(without(report, "table", "configuration")))
    assert not re.search(r"popularity_(\d|all|decayed)|plain_als|item_knn|without_prior", page.text)
    assert not re.search(r"\d%", page.text)


def test_a_plot_fills_its_card_and_is_half_as_wide_only_beside_a_neighbour(report):
    text = render_html(report)
    wide = {
        name: bool(mark)
        for mark, name in re.findall(r'<figure( class="wide")?><figcaption>.*?id="([a-z]+)-figure_1"', text, re.DOTALL)
    }
    assert {name for name, is_wide in wide.items() if is_wide} == {"tried", "training", "shown", "tasks"}
    assert set(wide) == set(PLOTS)
    widths = {
        name: float(width)
        for width, name in re.findall(
            r'viewBox="0 0 ([\d.]+) [\d.]+"[^>]*>(?:(?!<svg).)*?id="([a-z]+)-figure_1"', text, re.DOTALL
        )
    }
    assert len({round(widths[name]) for name in wide if wide[name]}) == 1
    assert min(widths[name] for name in wide if wide[name]) > 1.8 * max(widths[name] for name in wide if not wide[name])


def test_what_a_person_refused_is_reported_once_in_their_words(report):
    page = Page(render_html(report | refused("approve", "Rejected by ann: too early: nothing is published.")))
    assert page.text.count("Rejected by ann: too early") == 1
    assert "GateRejected" not in page.text
    other = Page(render_html(report | refused("promote_model", "REJECT: worse")))
    assert "REJECT: worse" in other.text


def test_without_a_prior_that_does_anything_the_report_says_why_a_row_is_missing(report):
    report["judged"].pop("without_prior", None)
    choice = report["chosen"]["choice"]
    none = report["chosen"] | {"choice": choice | {"prior_power": 0.0}, "why": "as good as any at 98.0% of its recall"}
    output = plain(report | {"chosen": none})
    assert (
        "There is no row “candidate without prior”: its power is 0 (as good as any at 98.0 % of its recall)" in output
    )
    with_power = none | {"choice": choice | {"prior_power": 0.3}}
    assert "all items have the same prior" in plain(report | {"chosen": with_power})


def test_with_a_prior_nothing_is_said_of_a_missing_row(report):
    report["judged"]["without_prior"] = copy.deepcopy(report["judged"]["candidate"])
    assert "There is no row" not in plain(report)


def test_relative_and_absolute_numbers_have_cells_of_their_own(report):
    text = render_html(report)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text, re.DOTALL)
    mixed = [cell for cell in cells if re.search(r"\d %", cell) and re.search(r"[+\u2212-]0\.\d{4}", cell)]
    assert mixed == []


def test_an_early_error_shows_nothing_empty_and_names_generated_reviews(report):
    gone = (
        "funnel",
        "fold",
        "training",
        "judged",
        "verdict",
        "table",
        "model",
        "chosen",
        "snapshot",
        "files",
        "champion",
    )
    early = without(report, *gone, "recall_intervals", "refitted") | {"generated_sample": True}
    early["error"] = {"task": "resolve_snapshot", "kind": "NotFound", "message": "none dated before 2017-01-01"}
    page = Page(render_html(early))
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == ["verdict", "lineage", "tasks"]
    assert [target for target in page.attributes("href") if target[0] == "#"][:3] == ["#verdict", "#lineage", "#tasks"]
    assert "Generated sample reviews" in page.text
    assert "The run did not reach parsing reviews, training, judging." in page.text


def test_a_loss_that_is_no_number_is_drawn_as_a_gap(report):
    report["training"]["loss"] = [None, None, None]
    assert "from \N{EN DASH} to \N{EN DASH}" in render_html(report)


def test_red_is_kept_for_errors(report):
    report["model"] = None
    report["verdict"]["decision"] = "REJECT"
    assert 'class="bad"' not in render_html(report)
    assert 'class="verdict bad"' not in render_html(report)
