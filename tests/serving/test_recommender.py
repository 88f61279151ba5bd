"""Lists are what scoring everything and filtering by hand gives, whoever asks and with whom."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommender.errors import ConfigError, NotFound
from include.recommender.models.histories import Histories
from include.recommender.models.ranking import recommend_all
from include.recommender.serving import Event, Filters, Recommender, Request, Source

from ..models.test_fold_in import items_of
from .versions import END_S, SIZES, version

VERSION = version()
RECOMMENDER = Recommender(VERSION)
USERS, ITEMS = VERSION.users.ids.to_pylist(), VERSION.items.ids.to_pylist()
NOTHING = Histories(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), len(ITEMS))


def history(row):
    return VERSION.histories.take(np.array([row]))


def by_hand(row, request):
    """All items by their exact scores, then the filters one after the other."""
    own = history(row) if row is not None else NOTHING
    scores = VERSION.model.score(own)[0]
    seen = set() if request.seen else {ITEMS[item] for item in own.items}
    order = [ITEMS[item] for item in np.argsort(-scores, kind="stable")]
    kept = [
        item
        for item in order
        if item not in seen and item not in request.exclude and (request.allow is None or item in request.allow)
    ]
    place = {item: at for at, item in enumerate(ITEMS)}
    return [(item, float(scores[place[item]])) for item in kept[request.offset : request.offset + request.k]]


def found(answer):
    return [(row.item, row.score) for row in answer.items]


IDS = st.sampled_from([*ITEMS, "unknown", ""])
REQUESTS = st.builds(
    Request,
    user=st.sampled_from([*USERS, "nobody", None]),
    k=st.integers(1, 40),
    offset=st.integers(0, 20),
    exclude=st.frozensets(IDS, max_size=30),
    allow=st.none() | st.frozensets(IDS, max_size=30),
    seen=st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(REQUESTS, max_size=12))
def test_each_list_is_that_of_scoring_all_and_filtering(requests):
    answers = RECOMMENDER.recommend(requests)
    assert len(answers) == len(requests)
    for request, answer in zip(requests, answers, strict=True):
        row = USERS.index(request.user) if request.user in USERS else None
        assert found(answer) == by_hand(row, request)
        assert answer.source == (Source.PRIOR if row is None else Source.KNOWN_USER)


def test_a_known_user_gets_what_evaluation_ranks():
    expected = recommend_all(VERSION.model, VERSION.histories, VERSION.histories, 20)
    answers = RECOMMENDER.recommend([Request(user=user, k=20) for user in USERS])
    assert [[row.item for row in answer.items] for answer in answers] == [
        [ITEMS[item] for item in row if item >= 0] for row in expected
    ]


def events_of(row, version=VERSION):
    """What is stored of a user, as fresh events."""
    seen, items = version.seen, version.items.ids.to_pylist()
    return tuple(
        Event(
            items[seen.indices[at]],
            datetime.fromtimestamp(int(seen.times[at]), UTC),
            float(seen.ratings[at]),
            {-1: None, 0: False, 1: True}[int(seen.verified[at])],
        )
        for at in range(seen.indptr[row], seen.indptr[row + 1])
    )


@pytest.mark.parametrize("row", range(len(SIZES)))
def test_the_same_history_gives_the_same_list_stored_or_just_seen(row):
    stored, fresh, both = RECOMMENDER.recommend(
        [
            Request(user=USERS[row], k=30),
            Request(events=events_of(row), k=30),
            Request(user=USERS[row], events=events_of(row)[:1], k=30),
        ]
    )
    assert found(stored) == found(fresh) == found(both)
    assert (stored.source, fresh.source, both.source) == (Source.KNOWN_USER, Source.FOLD_IN, Source.FOLD_IN)


def test_fresh_events_join_the_stored_history_as_training_would_have_it():
    """Of one item the earliest counts, and it is verified if any was."""
    row = SIZES.index(5)
    old, *rest = events_of(row)
    early = replace(old, time=old.time - timedelta(days=100), rating=1.0, verified=None)
    late = Event(old.item, old.time + timedelta(days=3), 5.0, True)
    joined, alone = RECOMMENDER.recommend(
        [
            Request(user=USERS[row], events=(late, early, Event("unknown"))),
            Request(events=(replace(early, verified=True), *rest)),
        ]
    )
    assert found(joined) == found(alone)
    assert joined.unknown_items == ("unknown",)
    assert old.item not in {row.item for row in joined.items}


def test_an_event_of_which_only_the_item_is_known_counts_as_now():
    later = datetime.fromtimestamp(END_S + 99, UTC)
    bare, full = RECOMMENDER.recommend(
        [Request(events=(Event(ITEMS[3]),)), Request(events=(Event(ITEMS[3], later, 3.0),))]
    )
    assert found(bare) == found(full)


def test_events_that_no_version_knows_leave_the_prior():
    (answer,) = RECOMMENDER.recommend([Request(user="nobody", events=(Event("a"), Event("b")))])
    assert (answer.source, answer.unknown_items) == (Source.PRIOR, ("a", "b"))
    assert found(answer) == found(RECOMMENDER.trending())


def test_a_given_list_is_ranked_whole():
    row = SIZES.index(8)
    given_ids = [*ITEMS[100:140], *(event.item for event in events_of(row)), "unknown"]
    answer = RECOMMENDER.rank(Request(user=USERS[row]), given_ids)
    request = Request(allow=frozenset(given_ids), seen=True, k=len(given_ids))
    assert found(answer) == by_hand(row, request)
    assert answer.unknown_items == ("unknown",)
    assert {row.item for row in answer.items} == set(given_ids) - {"unknown"}


@pytest.mark.parametrize("row", range(len(SIZES)))
def test_the_reasons_add_up_to_the_score(row):
    (answer,) = RECOMMENDER.recommend([Request(user=USERS[row])])
    for scored in answer.items[:3]:
        reasons = RECOMMENDER.why(Request(user=USERS[row]), scored.item).reasons
        assert {reason.item for reason in reasons} == {event.item for event in events_of(row)}
        assert sum(reason.part for reason in reasons) == pytest.approx(scored.score, rel=1e-4)
        assert [reason.part for reason in reasons] == sorted((reason.part for reason in reasons), reverse=True)


def test_of_whom_nothing_is_known_there_are_no_reasons():
    assert RECOMMENDER.why(Request(user="nobody"), ITEMS[0]).reasons == ()
    with pytest.raises(NotFound, match="'unknown'"):
        RECOMMENDER.why(Request(user=USERS[0]), "unknown")


def test_similar_items_are_those_of_the_largest_cosine():
    factors = items_of(700, 12).astype(np.float64)
    units = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    cosines = units @ units[42]
    cosines[42] = -np.inf
    answer = RECOMMENDER.similar(ITEMS[42], Filters(k=15))
    assert [row.item for row in answer.items] == [ITEMS[at] for at in np.argsort(-cosines, kind="stable")[:15]]
    assert [row.score for row in answer.items] == pytest.approx(np.sort(cosines)[::-1][:15], abs=1e-5)
    with pytest.raises(NotFound):
        RECOMMENDER.similar("unknown")


def test_variety_spreads_a_list_and_begins_with_the_best():
    user = USERS[-1]
    plain, half, full = RECOMMENDER.recommend([Request(user=user, variety=variety) for variety in (0, 0.5, 1)])
    assert plain.items[0] == half.items[0] == full.items[0]

    def closeness(answer):
        rows = [VERSION.items.find(row.item) for row in answer.items]
        units = VERSION.similarity.directions.of(rows)
        return (units @ units.T)[np.triu_indices(len(rows), 1)].mean()

    assert closeness(plain) > closeness(half) > closeness(full)
    again, second = RECOMMENDER.recommend(
        [Request(user=user, variety=0.5, k=20), Request(user=user, variety=0.5, k=10, offset=10)]
    )
    assert len({row.item for row in again.items}) == 20
    assert second.items == again.items[10:]


def test_a_catalogue_that_is_left_out_whole_gives_an_empty_list():
    small = Recommender(version(n_items=5))
    everything = frozenset(small.version.items.ids.to_pylist())
    for request in (Request(exclude=everything), Request(allow=frozenset()), Request(user="U00007")):
        assert small.recommend([replace(request, variety=variety) for variety in (0.0, 0.5)])[1].items == ()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 1_001}, "k=1001"),
        ({"k": 10, "offset": 995}, "offset=995"),
        ({"offset": -1}, "offset=-1"),
        ({"variety": 1.5}, "variety=1.5"),
        ({"variety": float("nan")}, "variety=nan"),
        ({"new_share": 1.01}, "new_share=1.01: expected 0 to 1"),
        ({"new_share": -0.1}, "new_share=-0.1"),
        ({"new_share": float("nan")}, "new_share=nan"),
        ({"new_item_days": 0}, "new_item_days=0: expected 1 to 36,500"),
        ({"new_item_days": 36_501}, "new_item_days=36501"),
        ({"events": (Event("a", rating=6),)}, "rating=6 of 'a'"),
        ({"events": (Event("a", datetime(2018, 1, 1)),)}, "time=2018-01-01T00:00:00 of 'a'"),
        ({"events": (Event("a", rating=float("nan")),)}, "rating=nan"),
        ({"events": tuple(Event(str(n)) for n in range(1_001))}, "events: 1,001"),
        ({"exclude": frozenset(map(str, range(10_001)))}, "exclude: 10,001"),
    ],
)
def test_what_cannot_be_asked_is_named(fields, names):
    with pytest.raises(ConfigError, match=names):
        Request(**fields)
