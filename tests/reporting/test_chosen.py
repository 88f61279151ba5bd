"""The chosen model and those that were tried, on the page."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.evaluation.chosen import ChosenModel, TriedModel
from include.recommender.models.choice import Choice
from include.recommender.reporting import chosen as choosing
from include.recommender.storage.documents import plain

from .runs import render_html, without
from .test_html import Page

pytestmark = pytest.mark.usefixtures("_plots_drawn_once")

WEIGHTS = {"als": (0.0,), "blend": (0.5, 2.0), "knn": (0.0,)}


def choice(family="blend", knn_weight=0.5, factors=8, **fields):
    rest = {"knn_similarity": "bm25", "half_life_days": 120.0, "prior_power": 0.35, "prior_half_life_days": 15.0}
    rest |= fields
    return Choice(family=family, knn_weight=knn_weight, factors=factors, **rest)


def tried(own, recall=0.1, coverage=0.2, **fields):
    distance = {"errors_below": 1.0, "clearly_worse": False, "judged_users": 71} | fields
    return TriedModel(choice=own, recall=recall, coverage=coverage, **distance)


def all_choices():
    models = [(family, weight) for family, weights in WEIGHTS.items() for weight in weights]
    for (family, weight), factors, days, power in product(models, (8, 16), (15.0, 60.0), (0.0, 0.35)):
        yield choice(family, weight, factors, prior_half_life_days=days, prior_power=power)


def chosen_model(own=None, **fields):
    """A choice among 32 models: recall rises with power, weight and factors, and coverage falls with them."""
    rows = [
        tried(each, 0.1 + value / 1000, 0.9 - value / 100, clearly_worse=value < 5, errors_below=float(20 - value))
        for each in all_choices()
        for value in [10 * each.prior_power + 2 * each.knn_weight + each.factors / 2]
    ]
    return ChosenModel(
        **{"choice": own or choice(), "why": "nearest <by> far", "judged_users": 71, "listed_users": 31, "tried": rows}
        | fields
    )


def page_of(report, chosen):
    return render_html(report | {"chosen": plain(chosen)})


def section(page):
    return re.search(r'<section id="chosen">.*?</section>', page, re.DOTALL)[0]


def cells(page):
    """The table of the tried models: model, factors, recall, ... of each row; the model of the first of its rows."""
    body = section(page).split("<table>")[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)[1:]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>.*?</t[dh]>", row)] for row in rows]


def test_the_section_says_what_was_chosen_and_why(report):
    page = Page(page_of(report, chosen_model()))
    text = " ".join(page.text.split())
    model = "ALS with 8 factors + 0.5 x item-kNN, ageing 120 days, prior power 0.35, prior half-life 15 days"
    assert f"{model}: nearest <by> far." in text
    assert "more than 1.645 below it, are clearly worse" in text
    assert "32 models were tried on up to 71 users of a time split inside train." in text
    assert "All models are judged on the first 31 users, and those that are far below the best then dropped" in text
    assert "Coverage: share of the catalogue in the lists of the first 31 users." in text
    assert "#chosen" in page.attributes("href")


def test_each_weight_and_number_of_factors_has_one_row_with_its_best_prior(report):
    rows = cells(page_of(report, chosen_model()))
    names = [row[0] for row in rows if len(row) == 9]
    assert names == ["ALS alone", "ALS + 0.5 x item-kNN", "ALS + 2 x item-kNN", "item-kNN alone"]
    assert [row[-8] for row in rows] == ["8", "16"] * 4
    assert {row[-2] for row in rows} == {"0.35"}
    recalls = [0.1 + (3.5 + 2 * weight + factors / 2) / 1000 for weight in (0, 0.5, 2, 0) for factors in (8, 16)]
    assert [row[-7] for row in rows] == [f"{recall:.4f}" for recall in recalls]


def test_models_with_ease_have_rows_of_their_own_and_the_page_says_what_it_is(report):
    assert "EASE" not in section(page_of(report, chosen_model()))
    learned = [tried(choice(*each, knn_similarity="ease")) for each in (("blend", 0.5), ("knn", 0.0))]
    own = learned[0].choice
    page = page_of(report, chosen_model(own, tried=[*map(tried, all_choices()), *learned]))
    assert "EASE (item-kNN, with weights of neighbours that regressions have learned)" in section(page)
    assert "Item-kNN or EASE alone: ALS orders" in section(page)
    names = [row[0] for row in cells(page) if len(row) == 9]
    plain = ["ALS alone", "ALS + 0.5 x item-kNN", "ALS + 2 x item-kNN", "item-kNN alone"]
    assert names == [*plain, "ALS + 0.5 x EASE", "EASE alone"]
    assert [row[0] for row in cells(page) if "chosen" in row] == ["ALS + 0.5 x EASE"]
    assert "ALS with 8 factors + 0.5 x EASE, ageing 120 days" in section(page)


def test_the_chosen_row_is_marked_and_clearly_worse_ones_are_named(report):
    page = page_of(report, chosen_model())
    rows = cells(page)
    assert [row[-3] for row in rows] == ["", "", "chosen", *[""] * 5]
    assert section(page).count('<tr class="mark">') == 1
    far = chosen_model(tried=[tried(choice()), tried(choice(factors=16), 0.01, clearly_worse=True, errors_below=3.25)])
    page = page_of(report, far)
    assert [row[-5:-2] for row in cells(page)] == [["1.0", "71", "chosen"], ["3.2", "71", "clearly worse"]]
    assert section(page).count('<tr class="far">') == 1


def test_a_chosen_model_whose_prior_is_not_the_best_has_a_row_beside_the_best(report):
    own = choice(prior_power=0.0)
    rows = cells(page_of(report, chosen_model(own)))
    assert len(rows) == 9
    best, marked = rows[2:4]
    assert (best[-2:], best[-3]) == (["0.35", "15"], "")
    assert (marked[-2:], marked[-3]) == (["0", "\N{EN DASH}"], "chosen")


def test_the_grid_of_priors_is_that_of_the_chosen_family_weight_and_factors(report):
    page = section(page_of(report, chosen_model()))
    assert "of ALS + 0.5 x item-kNN with 8 factors by half-life" in page
    grid = page.split("<table>")[2]
    assert re.findall(r'<th scope="row">([\d.]+)</th>', grid) == ["15", "60"]
    assert f"<mark>{0.1 + (3.5 + 1 + 4) / 1000:.4f}</mark>" in grid
    assert grid.count("<mark>") == 1
    far = chosen_model(tried=[tried(choice()), tried(choice(prior_power=1.0), 0.0123, clearly_worse=True)])
    assert '<td class="num far">(0.0123)</td>' in page_of(report, far)


def test_a_prior_that_was_not_chosen_has_no_grid(report):
    rows = [tried(choice(factors=factors)) for factors in (8, 16)]
    page = section(page_of(report, chosen_model(tried=rows)))
    assert "<h3>Item prior</h3>" not in page
    assert page.count("<table>") == 1


@pytest.mark.parametrize("rows", [[], [tried(choice())]])
def test_without_alternatives_there_is_neither_table_nor_plot(report, rows):
    page = section(page_of(report, chosen_model(tried=rows, why="as configured: 7 users are too few to choose by")))
    assert "as configured: 7 users are too few to choose by." in page
    assert ("was tried on up to 71 users" in page) == bool(rows)
    assert "<table>" not in page
    assert "<svg" not in page


def test_a_chosen_model_that_was_not_tried_breaks_nothing(report):
    page = section(page_of(report, chosen_model(choice(factors=999))))
    assert "ALS with 999 factors" in page
    assert "<mark>" not in page
    assert "<h3>Item prior</h3>" not in page


def test_without_a_choice_there_is_no_section_and_its_error_is_named_beside_the_training(report):
    page = render_html(without(report, "chosen") | {"unreadable": {"choose_model": "DataError: <gone>"}})
    assert 'id="chosen"' not in page
    training = re.search(r'<section id="training">.*?</section>', page, re.DOTALL)[0]
    assert "choose_model could not be read. DataError: &lt;gone&gt;" in training


def test_hostile_text_stays_text(report):
    evil = "<script>alert(1)</script>\"'&$x$"
    page = page_of(report, chosen_model(why=evil))
    assert "<script" not in page
    assert evil in Page(page).text


def test_percents_of_the_reason_are_written_as_elsewhere(report):
    page = page_of(report, chosen_model(why="the best; the largest coverage at 98.0% of its recall"))
    assert "98.0 % of its recall" in page


def drawn(report, chosen):
    return re.search(r'<svg[^>]*aria-label="(Recall@10 over[^"]*)">.*?</svg>', page_of(report, chosen), re.DOTALL)


def test_the_plot_has_a_mark_for_each_model_in_the_colour_of_its_family(report):
    svg = drawn(report, chosen_model())[0]
    # Without power all half-lives are equal. One mark is in the legend.
    for colour, models in (("--als", 1), ("--blend", 2), ("--knn", 1)):
        assert len(re.findall(rf'<use [^>]*style="[^"]*var\({colour}\)', svg)) == 4 * models + 1
    assert len(re.findall(r'<use [^>]*style="[^"]*var\(--accent\)', svg)) == 2
    for text in (*choosing.FAMILIES.values(), "chosen", "no other has more of both", "Recall@10"):
        assert f">{text}</text>" in svg


def test_only_families_that_were_tried_are_in_the_legend(report):
    rows = [tried(choice("als", 0.0, factors), factors / 100) for factors in (8, 16)]
    svg = drawn(report, chosen_model(choice("als", 0.0), tried=rows))[0]
    assert "ALS alone" in svg
    assert "item-kNN" not in svg


def test_the_text_of_the_plot_says_what_it_shows(report):
    text = drawn(report, chosen_model())[1]
    assert text.startswith("Recall@10 over coverage of 32 tried models. ALS alone: Recall 0.1040 to 0.1115, coverage ")
    assert "; chosen: Recall 0.1085 at coverage 81.5 %; " in text
    assert text.endswith(
        "the largest coverage: Recall 0.1040 at coverage 86.0 %; the largest Recall: Recall 0.1155 at coverage 74.5 %"
    )


shares = st.integers(0, 4).map(lambda value: value / 4)


@settings(deadline=None)
@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=12))
def test_the_line_holds_the_models_that_no_other_beats(places):
    rows = [tried(choice(factors=at + 1), recall, coverage) for at, (recall, coverage) in enumerate(places)]
    line = {(each.recall, each.coverage) for each in choosing.trade(rows)}
    beaten = {
        (recall, coverage)
        for recall, coverage in places
        if any(r >= recall and c >= coverage and (r, c) != (recall, coverage) for r, c in places)
    }
    assert line == set(places) - beaten


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(all_choices())), unique=True, min_size=1), st.randoms(use_true_random=False))
def test_every_tried_combination_has_the_row_of_its_best(choices, random):
    rows = [tried(each, random.randrange(5) / 10) for each in choices]
    chosen = chosen_model(random.choice(choices), tried=rows)
    shown = [each for rows in choosing.best_tried(chosen).values() for each in rows]
    assert sum(each.choice == chosen.choice for each in shown) == 1
    for group in {(each.family, each.knn_weight, each.factors) for each in choices}:
        of_group, shown_of_group = (
            [row for row in those if (row.choice.family, row.choice.knn_weight, row.choice.factors) == group]
            for those in (rows, shown)
        )
        best = max(row.recall for row in of_group)
        assert [row.recall for row in shown_of_group if row.choice != chosen.choice] in ([best], [])
        assert shown_of_group[0].recall == best


def test_models_without_ageing_have_rows_of_their_own(report):
    rows = [tried(choice()), tried(choice(half_life_days=0.0), 0.2)]
    page = page_of(report, chosen_model(choice(half_life_days=0.0), tried=rows))
    assert [row[0] for row in cells(page)] == ["ALS + 0.5 x item-kNN", "ALS + 0.5 x item-kNN, no ageing"]
    assert "8 factors + 0.5 x item-kNN, no ageing, prior power 0.35" in section(page)


def test_a_model_that_was_given_up_early_is_named_and_counts_less_than_one_judged_on_all_users(report):
    rows = [
        tried(choice()),
        tried(choice(prior_power=1.0), 0.9, judged_users=31, clearly_worse=True),
        tried(choice(factors=16), judged_users=31),
    ]
    page = page_of(report, chosen_model(tried=rows))
    assert [row[-4:-2] for row in cells(page)] == [["71", "chosen"], ["31", "given up early"]]
    assert [row[-2] for row in cells(page)] == ["0.35", "0.35"]


def test_where_all_are_judged_on_all_users_nothing_is_said_of_dropped_ones(report):
    page = section(page_of(report, chosen_model(listed_users=71)))
    assert "32 models were tried on 71 users" in page
    assert "dropped" not in page
