"""One user, one list: evaluation, batch, command line, library and API, whichever way is asked."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.recommender.console.cli import main
from include.recommender.models import ranking
from include.recommender.models.ranking import best_of_all
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.serving import Filters
from include.recommender.serving import batch as batch_module
from include.recommender.serving.batch import Batch
from include.recommender.serving.plan import Plan, finish, read_batch
from include.recommender.serving.version import ServedVersion

from ..registry import makers
from ..serving.pages import by_definition
from ..serving.test_recommender import events_of
from .conftest import until
from .published import publish
from .test_routes import USERS, pairs

K, N_ITEMS = 12, 600
NEW = {"new_share": 0.3, "new_item_days": 100}


@pytest.fixture(params=["als", "blend", "knn"])
def served(registry, request):
    """More items than a chunk has, so that nothing is small enough to be scored in one piece."""
    found = publish(registry, makers.M1, N_ITEMS, n_factors=16, seed=3, family=request.param)
    makers.move(registry, makers.M1)
    return found


def of_evaluation(version, asked):
    """What evaluation ranks, by row; with a share of new items, what is defined of all that it ranks."""
    items, scores = best_of_all(version.model, version.histories, version.histories, N_ITEMS)
    names, filters = version.items.ids.to_pylist(), Filters(k=K, **asked)
    new = {names[item] for item in version.new_items(filters.new_item_days).items}
    ranked = {
        user: [(names[item], float(score)) for item, score in zip(items[row], scores[row], strict=True) if item >= 0]
        for row, user in enumerate(USERS)
    }
    return {user: by_definition(order, new, filters) for user, order in ranked.items()}


def of_batch(registry, version, folder, asked):
    """What the batch writes."""
    settings = {name.replace("new_share", "new_item_share"): value for name, value in asked.items()}
    config = BatchConfig(list_size=K, similar_items=0, **settings)
    batch = Batch(registry.objects, version, Plan.of(version.manifest, config))
    users = batch.write_users(folder)
    finish(batch.objects, batch.plan, user_parts=len(users), similar_parts=0)
    found = {}
    for part in read_batch(batch.objects, batch.plan.folder).users:
        raw = registry.objects.read(f"{batch.plan.folder}/{part.name}")
        for row in pq.read_table(pa.BufferReader(raw)).to_pylist():
            found.setdefault(row["user"], []).append((row["item"], row["score"]))
    return found


def of_command_line(capsys, *words):
    """What `recommend` prints as JSON."""
    assert main(["recommend", *words, "--k", str(K), "--json"]) == 0
    return [(row["item"], row["score"]) for row in json.loads(capsys.readouterr().out)["items"]]


def of_api(started, user, version, asked):
    """The list of a user by each way of the API."""
    fresh = [
        {"item": event.item, "time": event.time.isoformat(), "rating": event.rating, "verified": event.verified}
        for event in events_of(USERS.index(user), version)
    ]
    post, same = started.client.post, {"k": K, **asked}
    bulk = post("/v1/recommendations/bulk", json={"requests": [{"user": each, **same} for each in USERS]}).json()
    single = started.client.get(f"/v1/users/{user}/recommendations", params=same)
    allowed = post("/v1/recommendations", json={"user": user, **same, "allow": version.items.ids.to_pylist()})
    ranked = post("/v1/rank", json={"user": user, "items": [row["item"] for row in single.json()["items"]][::-1]})
    return {
        "single": pairs(single),
        "body": pairs(post("/v1/recommendations", json={"user": user, **same})),
        "just seen": pairs(post("/v1/recommendations", json={"events": fresh, **same})),
        "joined": pairs(post("/v1/recommendations", json={"user": user, "events": fresh[:1], **same})),
        "allowed": pairs(allowed),
        "ranked": pairs(ranked),
        "bulk": [(row["item"], row["score"]) for row in bulk["lists"][USERS.index(user)]["items"]],
    }


@pytest.mark.parametrize("shortlist_items", [0, 10**9], ids=["by shortlist", "by scoring all"])
def test_every_way_gives_the_same_list(api, registry, s3_endpoint, capsys, tmp_path, monkeypatch, shortlist_items):
    monkeypatch.setattr(ranking, "SHORTLIST_ITEMS", shortlist_items)
    monkeypatch.setattr(batch_module, "PART_ROWS", 3)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "RECOMMENDER_ROOT": registry.objects.uri("").rstrip("/"),
        "RECOMMENDER_CACHE": str(tmp_path / "command"),
    }.items():
        monkeypatch.setenv(name, value)
    version = ServedVersion.fetch(registry, makers.M1, tmp_path / "copy")
    started = api()
    until(lambda: started.service.audience.main.current is not None)
    for asked in ({}, NEW):
        expected = of_evaluation(version, asked)
        assert {len(found) for found in expected.values()} == {K}
        assert of_batch(registry, version, tmp_path, asked) == expected
        words = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
        for user in USERS:
            assert of_command_line(capsys, user, *words) == expected[user]
            for way, found in of_api(started, user, version, asked).items():
                assert found == expected[user], (way, asked)
    in_demand = [(row["item"], row["score"]) for row in started.client.get(f"/v1/trending?k={K}").json()["items"]]
    assert of_command_line(capsys, "nobody") == in_demand
    assert np.isfinite([score for _, score in in_demand]).all()
