"""A promotion or rollback is live within moments; what is broken is refused, and the version before it stays."""

import gc
import os
import shutil
import weakref

import pytest

from include.recommender.errors import TransientError
from include.recommender.registry.registry import Registry
from include.recommender.serving import Request, mapped
from include.recommender.serving.live import Live
from include.recommender.storage.cache import release
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from ..registry import makers
from .conftest import until
from .published import publish


def model_of(client):
    return client.get("/v1/model").json()["channels"][0]


def live_of(registry, cache):
    found = Live(registry, "production", cache)
    found.start()
    return found


def test_a_promotion_and_a_rollback_are_live_without_a_restart(api, registry):
    started = api()
    publish(registry, makers.M2, seed=1)
    makers.move(registry, makers.M2)
    until(lambda: model_of(started.client)["model_id"] == makers.M2)
    makers.move(registry, makers.M1, kind="rollback")
    until(lambda: model_of(started.client)["model_id"] == makers.M1)
    until(lambda: 'recommender_model_swaps{channel="production"} 2.0' in started.client.get("/metrics").text)
    page = started.client.get("/metrics").text
    assert f'recommender_model_info{{channel="production",model_id="{makers.M2}"}} 0.0' in page


def test_the_server_waits_for_the_first_promotion(api, registry, served, s3):
    for row in s3.list_objects_v2(Bucket=BUCKET, Prefix="shop/channels/")["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=row["Key"])
    started = api(wait=False)
    until(lambda: "there is no channel production" in (model_of(started.client)["problem"] or ""))
    for path in ("/readyz", "/v1/trending"):
        refused = started.client.get(path)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert started.client.get("/healthz").status_code == 200
    makers.move(registry, makers.M1)
    until(lambda: model_of(started.client)["problem"] is None)
    assert started.client.get("/readyz").status_code == 200


def lose(s3, registry, name):
    s3.delete_object(Bucket=BUCKET, Key=f"shop/models/{makers.M2}/{name}")


def damage(s3, registry, name):
    key = f"shop/models/{makers.M2}/{name}"
    whole = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=whole[:-1] + bytes([whole[-1] ^ 1]))


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (lose, "published_item_factors.npy"),
        (damage, "seen_times.npy"),
        (damage, "published_items.parquet"),
        (damage, "manifest.json"),
    ],
)
def test_a_broken_version_is_refused_and_the_old_one_stays(api, registry, s3, harm, name):
    started = api()
    publish(registry, makers.M2, seed=1)
    makers.move(registry, makers.M2)  # found whole, and damaged afterwards
    until(lambda: model_of(started.client)["model_id"] == makers.M2)
    makers.move(registry, makers.M1, kind="rollback")
    until(lambda: model_of(started.client)["model_id"] == makers.M1)
    forget_copies(started)
    state = registry.channels.read("production")
    harm(s3, registry, name)
    known_until = makers.M2.known_until
    registry.channels.move(makers.moving(makers.M2, known_until, makers.M1), state)
    until(lambda: model_of(started.client)["problem"])
    about = model_of(started.client)
    assert about["model_id"] == makers.M1
    assert name in about["problem"] or makers.M2 in about["problem"]
    assert started.client.get("/v1/trending").json()["model_id"] == makers.M1
    ready = started.client.get("/readyz")
    assert (ready.status_code, ready.json()["channels"][0]["following"]) == (200, False)
    assert 'recommender_channel_problem{channel="production"} 1.0' in started.client.get("/metrics").text


def forget_copies(started):
    """Remove the local copy of M2, as another machine has none."""
    shutil.rmtree(started.service.settings.cache / "models" / makers.M2)


class Away(ObjectStore):
    """A store that cannot be reached."""

    def read_tagged(self, key):
        raise TransientError(f"{self.uri(key)}: cannot be reached")

    read = read_tagged


def test_the_last_good_version_is_served_where_the_store_is_away(registry, served, cache, s3):
    first = live_of(registry, cache)
    assert first.problem is None
    second = live_of(Registry(Away(s3, BUCKET, "shop")), cache)
    assert second.current.manifest == first.current.manifest
    assert "cannot be reached" in second.problem
    users = [f"U0000{number}" for number in range(8)]
    asked = [Request(user=user) for user in users]
    assert second.current.recommender.recommend(asked) == first.current.recommender.recommend(asked)


def test_another_registry_does_not_get_the_version_on_disk(registry, served, cache, s3):
    live_of(registry, cache)
    elsewhere = live_of(Registry(Away(s3, BUCKET, "other")), cache)
    assert elsewhere.current is None


@pytest.mark.parametrize(
    "name",
    ["published_item_factors.npy", "seen_users.parquet", "manifest.json", "mapped/vectors.npy", "mapped/users.arrow"],
)
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "changed"])
def test_a_local_file_that_was_damaged_is_never_served(registry, served, cache, s3, name, cut):
    expected = live_of(registry, cache).current
    (folder,) = (cache / "models").glob("*")
    path = folder / name if "/" not in name else next(folder.glob("mapped-*")) / name.split("/")[1]
    whole = path.read_bytes()
    path.unlink()  # a new file: the old one stays mapped
    path.write_bytes(whole[: len(whole) // 2] if cut else whole[:-20] + bytes([whole[-20] ^ 255]) + whole[-19:])
    away = live_of(Registry(Away(s3, BUCKET, "shop")), cache)
    if "/" in name:  # it follows from the version's files, so it is made again
        assert away.current.recommender.trending() == expected.recommender.trending()
    else:
        assert away.current is None
    again = live_of(registry, cache)
    assert again.current.recommender.trending() == expected.recommender.trending()


def test_the_arrays_of_a_version_are_prepared_once_and_mapped(registry, served, cache):
    first, second = live_of(registry, cache), live_of(registry, cache)
    for live in (first, second):
        version = live.current.recommender.version
        for array in (version.model.als.whitened.vectors, version.seen.times, version.similarity.directions.vectors):
            assert not array.flags.writeable
            assert not array.flags.owndata
    assert len(list((cache / "models" / makers.M1).glob("mapped-*"))) == 1


def test_a_large_version_is_prepared_in_a_process_of_its_own(registry, served, cache, monkeypatch):
    expected = live_of(registry, cache).current.recommender.trending()
    shutil.rmtree(cache)
    monkeypatch.setattr(mapped, "APART_BYTES", 0)
    monkeypatch.setattr(mapped, "_write", None)  # this process cannot do it
    assert live_of(registry, cache).current.recommender.trending() == expected


def test_the_old_version_is_freed_when_its_last_request_has_ended(registry, served, cache):
    live = live_of(registry, cache)
    held = live.current
    gone = weakref.ref(held.recommender.version)
    publish(registry, makers.M2, seed=1)
    makers.move(registry, makers.M2)
    live.look()
    assert live.current.manifest.model_id == makers.M2
    assert held.recommender.trending().model_id == makers.M1
    del held
    gc.collect()
    assert gone() is None


def test_versions_that_are_no_longer_served_leave_the_disk(registry, served, cache):
    live = live_of(registry, cache)
    for name, seed in ((makers.M2, 1), (makers.M3, 2)):
        publish(registry, name, seed=seed)
    makers.move(registry, makers.M2)
    live.look()
    old = cache / "models" / makers.M1
    os.utime(old, (0, 0))
    release(cache, old)
    makers.move(registry, makers.M3)
    live.look()
    assert sorted(path.name for path in (cache / "models").iterdir()) == sorted([makers.M2, makers.M3])


def test_a_second_channel_answers_its_share(api, registry):
    publish(registry, makers.M2, seed=1)
    makers.move(registry, makers.M2, channel="candidate")
    started = api(second_channel="candidate", second_share=0.5)
    until(lambda: started.service.audience.second.current is not None)
    users = [f"someone-{number}" for number in range(400)]
    seen = {}
    for user in users:
        body = started.client.get(f"/v1/users/{user}/recommendations").json()
        assert body["model_id"] == (makers.M2 if body["channel"] == "candidate" else makers.M1)
        seen[user] = body["channel"]
    share = list(seen.values()).count("candidate") / len(users)
    assert 0.4 < share < 0.6
    bodies = started.client.post(
        "/v1/recommendations/bulk", json={"requests": [{"user": user} for user in users[:100]]}
    )
    assert [each["channel"] for each in bodies.json()["lists"]] == [seen[user] for user in users[:100]]
    for path, extra in (("/v1/rank", {"items": ["I00001"]}), ("/v1/why", {"item": "I00001"})):
        for user in users[:20]:
            assert started.client.post(path, json={"user": user, **extra}).json()["channel"] == seen[user]
    assert started.client.get("/v1/trending").json()["channel"] == "production"


def test_a_second_channel_without_a_version_leaves_all_to_the_first(api):
    started = api(second_channel="candidate", second_share=0.5)
    channels = {
        started.client.get(f"/v1/users/someone-{number}/recommendations").json()["channel"] for number in range(40)
    }
    assert channels == {"production"}
    (main, second) = started.client.get("/v1/model").json()["channels"]
    assert main["problem"] is None
    assert "there is no channel candidate" in second["problem"]


def test_a_version_that_does_not_load_is_not_read_again_at_every_look(registry, served, cache, s3, monkeypatch):
    live = live_of(registry, cache)
    publish(registry, makers.M2, seed=1)
    state = registry.channels.read("production")
    damage(s3, registry, "seen_times.npy")
    registry.channels.move(makers.moving(makers.M2, makers.M2.known_until, makers.M1), state)
    reads = []
    fetch = type(registry).fetch
    monkeypatch.setattr(type(registry), "fetch", lambda self, *given: reads.append(given) or fetch(self, *given))
    for _ in range(5):
        live.look()
    assert len(reads) == 1
    assert "seen_times.npy" in live.problem
    makers.move(registry, makers.M1, kind="rollback")
    live.look()
    assert live.problem is None


def test_the_last_good_version_is_noted_once_the_disk_takes_it(registry, served, cache, s3, monkeypatch):
    live = Live(registry, "production", cache)
    monkeypatch.setattr(Live, "_remember", lambda self, model_id: (_ for _ in ()).throw(OSError("full")))
    live.start()
    assert "full" in live.problem
    monkeypatch.undo()
    live.look()
    assert live.problem is None
    assert live_of(Registry(Away(s3, BUCKET, "shop")), cache).current is not None


def test_a_cache_of_somebody_else_is_never_used(registry, served, cache):
    cache.mkdir(parents=True)
    (cache / "theirs").write_text("x")
    live = live_of(registry, cache)
    live.look()
    assert live.current is None
    assert "is not a cache of this project" in live.problem
    assert [path.name for path in cache.iterdir()] == ["theirs"]


def test_a_version_that_two_channels_share_stays_while_one_serves_it(registry, served, cache):
    makers.move(registry, makers.M1, channel="candidate")
    first, second = live_of(registry, cache), Live(registry, "candidate", cache)
    second.start()
    publish(registry, makers.M2, seed=1)
    makers.move(registry, makers.M2)
    os.utime(cache / "models" / makers.M1, (0, 0))
    first.look()
    assert (cache / "models" / makers.M1).exists()
    assert first.current.manifest.model_id == makers.M2
