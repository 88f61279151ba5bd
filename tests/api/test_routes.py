"""Each route answers what the library answers; what is wrong is named in a problem."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.recommender.api import wire
from include.recommender.serving import Event, Filters, Request, Source

from ..registry import makers
from ..serving.test_recommender import events_of
from ..serving.versions import SIZES

USERS = [f"U{number:05}" for number in range(len(SIZES))]
ITEMS = [f"I{number:05}" for number in range(300)]
LONG = USERS[SIZES.index(30)]


def pairs(answer):
    """Items and scores of an answer, whose shape is what OpenAPI says."""
    assert answer.status_code == 200, answer.text
    found = wire.ListAnswer.model_validate_json(answer.content)
    assert answer.headers["x-request-id"] == found.request_id
    assert found.model_id == makers.M1
    return [(row.item, row.score) for row in found.items]


def expected(found):
    return [(row.item, row.score) for row in found.items]


def post(api, path, **body):
    return api.client.post(path, json=body)


def test_a_known_user_gets_the_list_of_the_library(api):
    started = api()
    for user in USERS:
        answer = started.client.get(f"/v1/users/{user}/recommendations", params={"k": 20})
        (known,) = started.recommender.recommend([Request(user=user, k=20)])
        assert pairs(answer) == expected(known)
        body = answer.json()
        assert (body["source"], body["channel"], body["as_of"]) == (
            "known_user",
            "production",
            makers.day(1)[:-6] + "Z",
        )


FILTERS = {
    "k": st.integers(1, 40),
    "offset": st.integers(0, 20),
    "exclude": st.lists(st.sampled_from([*ITEMS[:50], "unknown"]), max_size=10),
    "variety": st.sampled_from([0.0, 0.3, 1.0]),
    "new_share": st.sampled_from([0.0, 0.2, 1.0]),
    "new_item_days": st.sampled_from([30, 200]),
}


def test_every_route_honours_every_filter(api):
    started = api(cache=0)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.fixed_dictionaries(FILTERS, optional={"allow": st.lists(st.sampled_from(ITEMS), min_size=1, max_size=60)}),
        st.sampled_from([*USERS, "nobody"]),
        st.booleans(),
    )
    def check(given_filters, user, seen):
        as_sets = {
            name: frozenset(value) if name in ("exclude", "allow") else value for name, value in given_filters.items()
        }
        get, similar_to = started.client.get, ITEMS[7]
        (known,) = started.recommender.recommend([Request(user=user, seen=seen, **as_sets)])
        answers = [
            get(f"/v1/users/{user}/recommendations", params={**given_filters, "seen": seen}),
            post(started, "/v1/recommendations", user=user, seen=seen, **given_filters),
        ]
        assert [pairs(answer) for answer in answers] == [expected(known)] * 2
        assert pairs(get("/v1/trending", params=given_filters)) == expected(
            started.recommender.trending(Filters(**as_sets))
        )
        similar = started.recommender.similar(similar_to, Filters(**as_sets))
        assert pairs(get(f"/v1/items/{similar_to}/similar", params=given_filters)) == expected(similar)

    check()


def test_items_just_seen_give_the_list_of_a_stored_user_with_that_history(api):
    started = api()
    for row, user in enumerate(USERS):
        fresh = [
            {"item": event.item, "time": event.time.isoformat(), "rating": event.rating, "verified": event.verified}
            for event in events_of(row, started.recommender.version)
        ]
        stored, joined = (
            post(started, "/v1/recommendations", user=user),
            post(started, "/v1/recommendations", events=fresh),
        )
        assert pairs(stored) == pairs(joined)
        assert (stored.json()["source"], joined.json()["source"]) == ("known_user", "fold_in")


def test_who_is_not_known_gets_what_is_in_demand(api):
    started = api()
    answer = started.client.get("/v1/users/nobody/recommendations")
    assert answer.json()["source"] == "prior"
    assert pairs(answer) == expected(started.recommender.trending())


def test_a_bulk_has_the_list_of_each_request_in_order(api):
    started = api()
    bodies = [{"user": user, "k": 1 + place % 7} for place, user in enumerate([*USERS, "nobody"] * 10)]
    answer = post(started, "/v1/recommendations/bulk", requests=bodies)
    found = wire.BulkAnswer.model_validate_json(answer.content)
    known = started.recommender.recommend([Request(**body) for body in bodies])
    assert [[(row.item, row.score) for row in each.items] for each in found.lists] == [expected(each) for each in known]


def test_a_given_list_is_ranked_and_unknown_items_are_named(api):
    started = api()
    answer = post(started, "/v1/rank", user=LONG, items=[*ITEMS[40:60], "unknown"])
    assert pairs(answer) == expected(started.recommender.rank(Request(user=LONG), ITEMS[40:60]))
    assert answer.json()["unknown_items"] == ["unknown"]


def test_reasons_are_those_of_the_library(api):
    started = api()
    answer = post(started, "/v1/why", user=LONG, events=[{"item": ITEMS[3]}], item=ITEMS[5])
    found = wire.WhyAnswer.model_validate_json(answer.content)
    known = started.recommender.why(Request(user=LONG, events=(Event(ITEMS[3]),)), ITEMS[5])
    assert [(row.item, row.part) for row in found.reasons] == [(row.item, row.part) for row in known.reasons]
    assert (found.item, found.source) == (ITEMS[5], Source.FOLD_IN)


def test_ids_may_hold_anything_that_is_text(api):
    started = api()
    for user in ("a/b", "a b", "ü", "🙂", "a%2Fb", "x" * 256, "recommendations", "a/recommendations"):
        answer = started.client.get(f"/v1/users/{quoted(user)}/recommendations", params={"k": 3})
        assert pairs(answer) == expected(started.recommender.trending(Filters(k=3)))
    assert started.client.get(f"/v1/items/{quoted('a/similar')}/similar").status_code == 404


def quoted(text):
    from urllib.parse import quote

    return quote(text, safe="")


def test_the_model_that_answers_is_described(api):
    found = wire.ModelAnswer.model_validate_json(api().client.get("/v1/model").content)
    (channel,) = found.channels
    assert (channel.model_id, channel.items, channel.users, channel.share) == (makers.M1, 300, len(SIZES), 1.0)
    assert channel.problem is None


WRONG = [
    ("GET", "/v1/users/a/recommendations?k=0", None, 422, "query.k"),
    ("GET", "/v1/users/a/recommendations?k=501", None, 422, "query.k"),
    ("GET", "/v1/users/a/recommendations?k=x", None, 422, "query.k"),
    ("GET", "/v1/users/a/recommendations?k=1&k=2", None, 422, "query.k"),
    ("GET", "/v1/users/a/recommendations?offset=501", None, 422, "query.offset"),
    ("GET", "/v1/users/a/recommendations?limit=5", None, 422, "query.limit"),
    ("GET", "/v1/users/a/recommendations?variety=nan", None, 422, "query.variety"),
    ("GET", "/v1/users/a/recommendations?new_share=1.5", None, 422, "query.new_share"),
    ("GET", "/v1/trending?new_share=nan", None, 422, "query.new_share"),
    ("GET", "/v1/trending?new_share=0.2&new_item_days=0", None, 422, "query.new_item_days"),
    ("GET", "/v1/items/a/similar?new_item_days=36501", None, 422, "query.new_item_days"),
    ("GET", "/v1/users/a/recommendations?allow=", None, 422, "query.allow"),
    ("GET", f"/v1/users/{'x' * 257}/recommendations", None, 422, "path.user"),
    ("GET", "/v1/users//recommendations", None, 422, "path.user"),
    ("GET", "/v1/trending?user=a", None, 422, "query.user"),
    ("GET", "/v1/trending?seen=1", None, 422, "query.seen"),
    ("GET", "/v1/model?x=1", None, 422, "query.x"),
    ("GET", "/healthz?x", None, 422, "query"),
    ("GET", "/v1/items/nope/similar", None, 404, "'nope'"),
    ("GET", "/v1/nothing", None, 404, "Not Found"),
    ("PUT", "/v1/rank", None, 405, "Method Not Allowed"),
    ("POST", "/v1/rank", "{", 422, "body"),
    ("POST", "/v1/rank", '{"items": []}', 422, "body.items"),
    ("POST", "/v1/rank", '{"items": ["a"], "k": 3}', 422, "body.k"),
    ("POST", "/v1/rank?x=1", '{"items": ["a"]}', 422, "query.x"),
    ("POST", "/v1/rank", '{"items": ["\\ud800"]}', 422, "body.items.0"),
    ("POST", "/v1/rank", json.dumps({"items": ["a"] * 1_001}), 422, "body.items"),
    ("POST", "/v1/recommendations", '{"user": 5}', 422, "body.user"),
    ("POST", "/v1/recommendations", '{"k": "5"}', 422, "body.k"),
    ("POST", "/v1/recommendations", '{"k": true}', 422, "body.k"),
    ("POST", "/v1/recommendations", '{"variety": NaN}', 422, "body.variety"),
    ("POST", "/v1/recommendations", '{"new_share": -0.1}', 422, "body.new_share"),
    ("POST", "/v1/recommendations", '{"new_item_days": "30"}', 422, "body.new_item_days"),
    ("POST", "/v1/recommendations/bulk", '{"requests": [{"new_share": 2}]}', 422, "body.requests.0.new_share"),
    ("POST", "/v1/rank", '{"items": ["a"], "new_share": 0.1}', 422, "body.new_share"),
    ("POST", "/v1/recommendations", "[" * 100_000, 400, "body"),
    ("POST", "/v1/recommendations", '{"events": [{"item": "a", "time": "2018-01-01T00:00:00"}]}', 422, "time"),
    ("POST", "/v1/recommendations", '{"events": [{"item": "a", "time": 5}]}', 422, "time"),
    ("POST", "/v1/recommendations", '{"events": [{"item": "a", "rating": 6}]}', 422, "rating"),
    ("POST", "/v1/recommendations", '{"events": [{"item": "a", "seen": true}]}', 422, "seen"),
    ("POST", "/v1/recommendations", json.dumps({"events": [{"item": "a"}] * 1_001}), 422, "body.events"),
    ("POST", "/v1/recommendations/bulk", '{"requests": []}', 422, "body.requests"),
    ("POST", "/v1/recommendations/bulk", json.dumps({"requests": [{}] * 101}), 422, "body.requests"),
    ("POST", "/v1/why", '{"user": "a", "item": "nope"}', 404, "'nope'"),
]


def test_what_is_wrong_is_named(api):
    client = api().client
    for method, path, body, status, names in WRONG:
        answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
        case = (method, path[:80], body and body[:80])
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), case
        found = answer.json()
        assert (found["status"], found["request_id"]) == (status, answer.headers["x-request-id"]), case
        assert names in answer.text, case
