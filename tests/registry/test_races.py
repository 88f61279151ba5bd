"""Many at once: real threads against a real server."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import boto3
import pytest

from include.recommender.errors import ConfigError, NotFound, PreconditionFailed
from include.recommender.registry.moves import replay
from include.recommender.registry.registry import Actor, Registry
from include.recommender.registry.retention import Retention, retire
from include.recommender.storage.objects import ObjectStore

from ..conftest import BUCKET
from .makers import M1, M2, M3, line, move, moving, publish, version

pytestmark = pytest.mark.slow

ROUNDS = 12
RIVALS = 4


@pytest.fixture
def registries(s3, s3_endpoint):
    """As many registries as rivals, each with a connection of its own."""
    make = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1").client
    return [Registry(ObjectStore(make("s3", endpoint_url=s3_endpoint), BUCKET, "shop")) for _ in range(RIVALS)]


def at_once(acts):
    """Run functions at the same moment; return what each returned or raised."""
    barrier = Barrier(len(acts))

    def one(act):
        barrier.wait(timeout=30)
        try:
            return act()
        except (ConfigError, NotFound, PreconditionFailed) as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def test_of_promotions_at_once_one_wins_each_round_and_the_others_say_who(registries):
    first = registries[0]
    names = [publish(first, version(f"m{number}", 1)) for number in range(RIVALS)]
    for round_ in range(ROUNDS):
        state = first.channels.read("production")

        def promote(registry, name, state=state):
            before = state.model_id if state else None
            made = moving(name, name.known_until, before, who=name, why="race")
            return registry.promote(made, state)

        ended = at_once([lambda r=r, n=n: promote(r, n) for r, n in zip(registries, names, strict=True)])
        won = [row for row in ended if not isinstance(row, Exception)]
        lost = [str(row) for row in ended if isinstance(row, PreconditionFailed)]
        assert (len(won), len(lost)) == (1, RIVALS - 1)
        assert all(f"{won[0].model_id} moved it to {won[0].model_id}" in text for text in lost)
        assert first.channels.read("production") == won[0]
        history = first.channels.history("production")
        assert [row.number for row in history] == list(range(1, round_ + 2))
        assert all(b.from_model == a.to_model for a, b in pairwise(history))


def test_rollbacks_and_promotions_at_once_leave_one_unbroken_chain(registries):
    first = registries[0]
    line(first, M1, M2, M3)
    for number in range(ROUNDS):
        name = publish(first, version(f"n{number}", 10 + number))
        acts = [
            lambda: registries[0].rollback("production", by=Actor("a", "race")),
            lambda: registries[1].rollback("production", by=Actor("b", "race")),
            lambda name=name: registries[2].promote_by_hand("production", name, by=Actor("c", "race")),
            lambda: registries[3].channels.history("production"),
        ]
        at_once(acts)
        history = first.channels.history("production")
        assert [row.number for row in history] == list(range(1, len(history) + 1))
        assert all(b.from_model == a.to_model for a, b in pairwise(history))
        assert replay(history).stack[-1] == first.channels.read("production").model_id


def test_a_channel_never_points_to_what_a_retirement_at_that_moment_deletes(registries):
    first, second = registries[:2]
    line(first, version("base", 1))
    rule = Retention(keep_newest=0, keep_moves=0)
    outcomes = set()
    for number in range(ROUNDS):
        name = publish(first, version(f"x{number}", 2 + number))
        moved, _ = at_once([lambda name=name: move(first, name), lambda: retire(second, rule, "ann", dry_run=False)])
        live = first.channels.read("production").model_id
        assert live in first.versions()
        assert first.wrong_files(first.manifest(live)) == {}
        outcomes.add(type(moved).__name__)
        if isinstance(moved, NotFound):
            assert live != name
    assert outcomes <= {"ChannelState", "NotFound"}
