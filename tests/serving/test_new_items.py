"""A share of each list is for new items: what scoring all, sorting, and the definition by hand give."""

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.models import ranking
from include.recommender.models.scoring import model_of
from include.recommender.serving import Event, Filters, Recommender, Request, new_items
from include.recommender.serving.exposure import first_pages, least_new, page
from include.recommender.serving.new_items import NEVER, NewItems, first_interactions

from ..models.test_fold_in import items_of
from .pages import by_definition
from .test_recommender import NOTHING, found
from .versions import END_S, neighbours, version

DAY_S = 86_400
# Of `new_items.FEW`: always the one search, or always the other.
SEARCHES = pytest.mark.parametrize("few", [10**9, 1], ids=["masked", "apart"])


@cache
def served(family="blend", n_items=150):
    """A version of which most items have an interaction."""
    return version(n_items, family=family)


def new_of(known, days):
    """New ids, looked up one by one."""
    first = {}
    for item, time in zip(known.seen.indices.tolist(), known.seen.times.tolist(), strict=True):
        first[item] = min(time, first.get(item, time))
    ids = known.items.ids.to_pylist()
    return {ids[item] for item, time in first.items() if END_S - time <= days * DAY_S}


def ranked(known, request):
    """All ids that a request may be answered with and their scores, best first."""
    users, ids = known.users.ids.to_pylist(), known.items.ids.to_pylist()
    own = known.histories.take(np.array([users.index(request.user)])) if request.user in users else None
    own = own or replace(NOTHING, n_items=len(ids), check=False)
    scores = known.model.score(own)[0]
    seen = set() if request.seen else {ids[item] for item in own.items}
    return [
        (ids[item], float(scores[item]))
        for item in np.argsort(-scores, kind="stable")
        if ids[item] not in seen | request.exclude and (request.allow is None or ids[item] in request.allow)
    ]


IDS = st.sampled_from([*served().items.ids.to_pylist(), "unknown"])
ASKED = {
    "user": st.sampled_from([*served().users.ids.to_pylist(), "nobody"]),
    "k": st.integers(1, 40),
    "exclude": st.frozensets(IDS, max_size=30),
    "allow": st.none() | st.frozensets(IDS, max_size=60),
    "seen": st.booleans(),
    "new_share": st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0]),
    "new_item_days": st.sampled_from([1, 30, 100, 36_500]),
}
REQUESTS = st.builds(Request, **ASKED, offset=st.integers(0, 60))


@SEARCHES
@pytest.mark.parametrize("family", ["als", "blend", "knn"])
def test_each_list_is_that_of_the_definition(few, family, monkeypatch):
    monkeypatch.setattr(new_items, "FEW", few)
    known = served(family)
    recommender = Recommender(known)

    @settings(max_examples=30, deadline=None)
    @given(st.lists(REQUESTS, max_size=8))
    def check(requests):
        for request, answer in zip(requests, recommender.recommend(requests), strict=True):
            new = new_of(known, request.new_item_days)
            assert found(answer) == by_definition(ranked(known, request), new, request)

    check()


@settings(max_examples=60, deadline=None)
@given(st.builds(Request, **ASKED), st.integers(0, 39))
def test_pages_of_a_request_hold_every_item_once_and_new_ones_while_there_are_any(request, start):
    recommender, order = Recommender(served()), ranked(served(), request)
    new, start = new_of(served(), request.new_item_days), start % request.k
    offsets = range(start, len(order) + 1, request.k)
    asked = [replace(request, offset=offset) for offset in offsets]
    asked = [replace(request, k=start), *asked] if start else asked
    left = {item for item, _ in order}
    for each, answer in zip(asked, recommender.recommend(asked), strict=True):
        shown = [row.item for row in answer.items]
        assert len(shown) == len(set(shown)) == min(each.k, len(left))
        assert left.issuperset(shown)
        assert [(row.item, row.score) for row in answer.items] == [row for row in order if row[0] in set(shown)]
        least = math.ceil(Fraction(str(request.new_share)) * each.k)
        assert len(new.intersection(shown)) >= min(least, len(new & left))
        left -= set(shown)
    assert not left


@settings(max_examples=20, deadline=None)
@given(st.builds(Request, **ASKED), st.sampled_from([0.3, 1.0]))
def test_pages_of_a_varied_list_hold_every_item_once_too(request, variety):
    """Without a share it is the varied list. With one, new items come in the order of their scores, and last."""
    recommender, new = Recommender(served()), new_of(served(), request.new_item_days)
    order = ranked(served(), request)
    request = replace(request, variety=variety, k=max(request.k, 5))
    plain = recommender.recommend([replace(request, new_share=0.0)])[0]
    pages = [replace(request, offset=offset) for offset in range(0, len(order) + 1, request.k)]
    answers = recommender.recommend(pages)
    shown = [row.item for answer in answers for row in answer.items]
    assert sorted(shown) == sorted(item for item, _ in order)
    first, least = [row.item for row in answers[0].items], least_new(request.new_share, request.k)
    by_variety = [row.item for row in plain.items]
    added = [item for item in first if item not in by_variety]
    assert len(new.intersection(first)) >= min(least, len(new.intersection(shown)))
    assert added == [item for item, _ in order if item in new and item not in by_variety][: len(added)]
    assert first == [item for item in by_variety if item in first] + added
    if not added:
        assert first == by_variety


@SEARCHES
@pytest.mark.parametrize(("family", "n_items"), [("als", 9_000), ("blend", 4_500)])
def test_a_catalogue_of_several_chunks_has_the_same_lists(few, family, n_items, monkeypatch):
    monkeypatch.setattr(new_items, "FEW", few)
    known = served(family, n_items)
    rng = np.random.default_rng(5)
    first = np.where(rng.random(n_items) < 0.1, END_S - 5 * DAY_S, END_S - 90 * DAY_S)
    known = replace(known)  # what is computed once is computed again
    vars(known)["first_times"] = first
    new = {item for item, time in zip(known.items.ids.to_pylist(), first, strict=True) if time > END_S - 30 * DAY_S}
    users = [*known.users.ids.to_pylist(), "nobody"]
    requests = [Request(user=user, k=30, offset=offset, new_share=0.4) for user in users for offset in (0, 30)]
    for request, answer in zip(requests, Recommender(known).recommend(requests), strict=True):
        assert found(answer) == by_definition(ranked(known, request), new, request)


@SEARCHES
def test_of_many_users_the_best_new_items_are_the_same(few, monkeypatch):
    monkeypatch.setattr(new_items, "FEW", few)
    monkeypatch.setattr(ranking, "MAX_BLOCK_ROWS", 3)
    known = served()
    new, own = known.new_items(100), known.histories
    items, scores = new.best_of_all(own, own, 7)
    assert new.counts(items).tolist() == (items >= 0).sum(axis=1).tolist()
    for row, user in enumerate(known.users.ids.to_pylist()):
        order = [each for each in ranked(known, Request(user=user)) if each[0] in new_of(known, 100)]
        n = min(7, len(order))
        assert list(zip(known.items.names(items[row, :n]), scores[row, :n].tolist(), strict=True)) == order[:n]
        assert (items[row, n:] == -1).all()


def test_a_user_whose_neighbours_speak_for_old_items_only_is_known():
    """Nothing but item-kNN knows such a user, and of new items it says nothing: they score 0, and no popularity."""
    factors = items_of(150, 12)
    factors[1] = 0.0
    known = replace(served(), model=model_of(factors, neighbours(150, 0), np.arange(150.0), served().config))
    own = Request(events=(Event("I00001"),), k=4)
    (whole,) = Recommender(known).recommend([replace(own, k=149)])
    silent = [row.item for row in whole.items if row.score == 0][:20]
    first = np.zeros(150, dtype=np.int64)
    first[known.items.rows(silent)] = END_S
    vars(known)["first_times"] = first
    (answer,) = Recommender(known).recommend([replace(own, new_share=0.5)])
    assert known.new_items(30).few
    assert found(answer) == [*found(whole)[:2], (silent[0], 0.0), (silent[1], 0.0)]


def test_similar_items_have_a_share_too():
    known = served()
    whole = Recommender(known).similar("I00042", Filters(k=149))
    order, new = [(row.item, row.score) for row in whole.items], new_of(known, 60)
    for offset in (0, 10, 25):
        filters = Filters(k=10, offset=offset, new_share=0.5, new_item_days=60)
        assert found(Recommender(known).similar("I00042", filters)) == by_definition(order, new, filters)


def test_a_given_list_is_ranked_whatever_share_is_asked_for():
    ids = served().items.ids.to_pylist()[:40]
    plain, asked = (Recommender(served()).rank(Request(user="U00007", new_share=share), ids) for share in (0.0, 1.0))
    assert plain == asked


def test_without_a_share_the_days_change_nothing():
    requests = [Request(user=user, k=30) for user in served().users.ids.to_pylist()]
    recommender = Recommender(served())
    assert recommender.recommend(requests) == recommender.recommend(
        [replace(request, new_item_days=1) for request in requests]
    )


def test_the_first_interaction_counts_and_an_item_without_one_is_not_new():
    known = version(700)
    first = first_interactions(known.seen)
    assert {known.items.ids[item].as_py() for item in np.flatnonzero(first < NEVER)} == new_of(known, 36_500)
    for days in (1, 30, 200, 36_500):
        flags = NewItems.of(known.model, first, END_S, days).flags
        assert {known.items.ids[item].as_py() for item in np.flatnonzero(flags)} == new_of(known, days)
    edge = np.array([END_S - 30 * DAY_S - 1, END_S - 30 * DAY_S, END_S, NEVER])
    assert NewItems.of(known.model, edge, END_S, 30).flags.tolist() == [False, True, True, False]


def test_a_version_keeps_the_new_items_of_few_numbers_of_days():
    known = version(150)
    first = known.new_items(30)
    assert known.new_items(30) is first
    for days in (31, 32):
        known.new_items(days)
    assert known.new_items(30) is not first


def test_the_share_is_rounded_up_to_whole_places_as_in_decimals():
    for k in (*range(1, 120), 500, 1_000):
        for hundredths in range(101):
            assert least_new(hundredths / 100, k) == math.ceil(Fraction(hundredths, 100) * k)
    assert least_new(1e-9, 10) == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_pages_at_once_are_those_one_by_one(k, n_items, share, seed):
    """Lists of random order, with as many new items."""
    rng = np.random.default_rng(seed)
    order, scores = rng.permutation(n_items).astype(np.int32), np.arange(n_items, 0, -1, dtype=np.float32)
    new = rng.random(n_items) < 0.3
    fresh = np.flatnonzero(new[order])
    best = np.full((1, k), -1, np.int32), np.full((1, k), -np.inf, np.float32)
    n = min(k, n_items)
    best[0][0, :n], best[1][0, :n] = order[:n], scores[:n]
    added = fresh[int(new[order[:n]].sum()) : least_new(share, k)]
    at_once = first_pages(best, (order[added][None], scores[added][None]), new)
    alone = page((order[:k], scores[:k]), (order[fresh], scores[fresh]), new, Filters(k=k, new_share=share))
    assert at_once[0][0, :n].tolist() == alone[0].tolist()
    assert at_once[1][0, :n].tolist() == alone[1].tolist()
    assert (at_once[0][0, n:] == -1).all()
