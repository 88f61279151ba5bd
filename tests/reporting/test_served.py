"""The slices and the prior on the page."""

from include.recommender.reporting import served
from include.recommender.reporting.html import render_html


def slices(shift):
    return {
        "days since the last interaction": [{"label": "0 to 30 days", "users": 7, "recall": 0.25 + shift}],
        "popularity of the item": [
            {"label": "1 (hits)", "items": 2, "held_out": 5, "recall": 0.5 + shift, "shown": 0.75},
            {"label": "2", "items": 9, "held_out": 0, "recall": None, "shown": 0.25},
        ],
    }


def sliced(report):
    judged = {
        name: {**body, "slices": slices(at / 100)} for at, (name, body) in enumerate(sorted(report["judged"].items()))
    }
    return report | {"judged": judged}


def test_rows_stand_in_the_order_of_the_models(report):
    report = sliced(report)
    names = served.compared(report)
    assert names[0] == "candidate"
    assert served.baseline_of(report) in names
    order = sorted(report["judged"])
    (slicing,) = served.user_slices(report)
    (row,) = slicing["rows"]
    assert (row["label"], row["users"]) == ("0 to 30 days", 7)
    assert row["recalls"] == [0.25 + order.index(name) / 100 for name in names]
    hits, empty = served.item_slices(report)
    assert hits["recalls"] == [0.5 + order.index(name) / 100 for name in names]
    assert empty["recalls"] == [None] * len(names)


def test_the_page_tells_who_is_served_and_what_the_prior_weighs(report):
    tried = [
        {
            "half_life_days": days,
            "power": power,
            "recall": power / days,
            "errors_below": 1.0,
            "clearly_worse": days == 60,
        }
        for days in (15.0, 60.0)
        for power in (0.0, 0.35)
    ]
    prior = {
        "power": 0.35,
        "half_life_days": 15.0,
        "why": "nearest <by> far",
        "judged_users": 71,
        "tried": tried,
    }
    page = render_html(sliced(report) | {"prior": prior})
    assert "0 to 30 days" in page
    assert "1 (hits)" in page
    assert "half-life of 15 days, enters the score with the power 0.35: nearest &lt;by&gt; far, on 71 users" in page
    assert f"<mark>{0.35 / 15:.4f}</mark>" in page
    assert f'<td class="num far">({0.35 / 60:.4f})</td>' in page
    assert page.count("<mark>") == 1


def test_without_slices_and_prior_the_section_is_left_out(report):
    judged = {
        name: {key: value for key, value in body.items() if key != "slices"} for name, body in report["judged"].items()
    }
    page = render_html({**report, "judged": judged, "prior": None})
    assert served.compared({**report, "judged": judged}) == []
    assert 'id="served"' not in page
    assert 'id="beyond"' in page
