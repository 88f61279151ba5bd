"""The slices on the page."""

import re

from include.recommender.models.rivals import RIVALS
from include.recommender.reporting import served
from include.recommender.reporting.pages import title

from .runs import render_html, typed, without


def slices(shift):
    return {
        "slices": {
            "days since the last interaction": [{"label": "0 to 30 days", "users": 7, "recall": 0.25 + shift}],
        },
        "by_popularity": [
            {"label": "1 (hits)", "items": 2, "held_out": 5, "recall": 0.5 + shift, "shown": 0.75},
            {"label": "2", "items": 9, "held_out": 0, "recall": None, "shown": 0.25},
        ],
    }


def sliced(report):
    judged = {name: body | slices(at / 100) for at, (name, body) in enumerate(sorted(report["judged"].items()))}
    return report | {"judged": judged}


def test_rows_stand_in_the_order_of_the_models(report):
    order, report = sorted(report["judged"]), typed(sliced(report))
    names = served.compared(report)
    assert names[0] == "candidate"
    assert served.baseline_of(report) in names
    (slicing,) = served.user_slices(report)
    (row,) = slicing.rows
    assert (row.label, row.users) == ("0 to 30 days", 7)
    assert row.recalls == [0.25 + order.index(name) / 100 for name in names]
    hits, empty = served.item_slices(report)
    assert hits.recalls == [0.5 + order.index(name) / 100 for name in names]
    assert empty.recalls == [None] * len(names)


def test_candidate_rivals_and_strongest_popularity_are_compared(report):
    report["judged"]["champion"] = report["judged"]["candidate"]
    names = served.compared(typed(report))
    assert names == ["candidate", "item_knn", "plain_als", served.baseline_of(typed(report)), "champion"]
    for name in (*RIVALS, "champion"):
        del report["judged"][name]
    assert served.compared(typed(report)) == ["candidate", served.baseline_of(typed(report))]


def test_the_page_tells_who_is_served(report):
    page = render_html(sliced(report))
    assert "0 to 30 days" in page
    assert page.count(">1 (hits)</th>") == 2  # what is found, and what is shown
    names = served.compared(typed(report))
    found = re.search(r"<tr>((?:(?!</tr>).)*Found, by decile.*?)</tr>", page)[1]
    assert re.findall(r'class="num">([^<]+)<', found) == ["Items", "Held out", *map(title, names)]
    shown = page.partition("Shows, by decile")[2].partition("</table>")[0]
    assert shown.count("75.0 %") == shown.count("25.0 %") == len(names)


def test_without_judgement_the_section_is_left_out(report):
    bare = without(report, "judged")
    assert served.compared(typed(bare)) == []
    assert 'id="served"' not in render_html(bare)
