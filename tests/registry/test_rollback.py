"""Going back, and who may go where."""

from dataclasses import replace

import pytest

from include.recommender.errors import ConfigError, DataError, NotFound
from include.recommender.registry.versions import manifest_key

from .makers import day, line, move, publish

BY = {"who": "ann@shop", "why": "sells nothing"}


@pytest.fixture
def registry(workspace):
    return workspace.registry


def test_a_rollback_goes_to_the_version_before_and_a_second_one_further_back(registry):
    channels = line(registry, "m1", "m2", "m3")
    assert [registry.rollback("production", **BY).model_id for _ in range(2)] == ["m2", "m1"]
    last = channels.history("production")[-1]
    assert (last.kind, last.from_model, last.to_model, last.who, last.why) == ("rollback", "m2", "m1", *BY.values())
    assert (last.number, last.as_of, last.verdict, last.run) == (5, day(1), "PROMOTE", "by hand")
    with pytest.raises(ConfigError, match="no version below m1"):
        registry.rollback("production", **BY)
    assert channels.read("production").model_id == "m1"


def test_a_rollback_may_name_a_version_further_back_and_no_other(registry):
    line(registry, "m1", "m2", "m3")
    publish(registry, "m9", day(9))
    for name in ("m3", "m9", "nothing"):
        with pytest.raises(ConfigError, match=r"goes to one of m2, m1\."):
            registry.rollback("production", name, **BY)
    assert registry.rollback("production", "m1", **BY).model_id == "m1"
    assert registry.was_rolled_back("production", "m2").why == "sells nothing"


def test_a_retired_version_is_passed_over_and_cannot_be_named(registry, caplog):
    line(registry, "m1", "m2", "m3")
    registry.objects.delete([manifest_key("m2")])
    with pytest.raises(NotFound, match="models/m2"):
        registry.rollback("production", "m2", **BY)
    assert registry.rollback("production", **BY).model_id == "m1"
    assert "Passed over" in caplog.text


def test_there_is_nothing_to_go_back_to(registry):
    with pytest.raises(ConfigError, match="points nowhere yet"):
        registry.rollback("production", **BY)
    line(registry, "m1")
    with pytest.raises(ConfigError, match="Promote one by hand"):
        registry.rollback("production", **BY)
    with pytest.raises(ConfigError, match="why"):
        registry.rollback("production", who="ann", why="  ")


def test_what_was_rolled_back_is_known_until_a_person_brings_it_back(registry):
    line(registry, "m1", "m2")
    assert registry.was_rolled_back("production", "m2") is None
    taken_off = registry.rollback("production", **BY).move
    assert registry.was_rolled_back("production", "m2") == taken_off
    assert registry.was_rolled_back("production", "m1") is None
    assert registry.was_rolled_back("staging", "m2") is None
    registry.promote_by_hand("production", "m2", who="ann", why="was the data after all")
    assert registry.was_rolled_back("production", "m2") is None
    assert registry.rollback("production", **BY).model_id == "m1"


def test_a_promotion_goes_to_an_older_as_of_only_when_it_is_forced(registry):
    line(registry, "m2")
    publish(registry, "old", "2018-08-01T00:00:00+00:00")
    with pytest.raises(ConfigError, match="--allow-older"):
        move(registry, "old")
    with pytest.raises(ConfigError, match="--allow-older"):
        registry.promote_by_hand("production", "old", who="ann", why="reason")
    assert registry.channels.read("production").model_id == "m2"
    state = registry.promote_by_hand("production", "old", who="ann", why="reason", allow_older=True)
    assert (state.model_id, state.move.kind) == ("old", "force")
    publish(registry, "older", "2018-07-01T00:00:00+00:00")
    assert move(registry, "older", kind="force").model_id == "older"


def test_as_of_is_compared_as_instants_not_as_text(registry):
    publish(registry, "a", "2018-09-03T00:00:00+00:00")
    publish(registry, "b", "2018-09-03T01:00:00+02:00")  # an hour before a
    move(registry, "a")
    with pytest.raises(ConfigError, match="--allow-older"):
        move(registry, "b")


def test_by_hand_a_version_that_the_gate_held_is_forced_and_nothing_moves_twice(registry):
    publish(registry, "held", decision="HOLD")
    state = registry.promote_by_hand("production", "held", who="ann", why="reason")
    assert (state.move.kind, state.move.verdict) == ("force", "HOLD")
    assert registry.promote_by_hand("production", "held", who="ann", why="again") == state
    assert len(registry.channels.history("production")) == 1


def test_a_move_that_tells_another_as_of_than_the_version_has_is_refused(registry):
    line(registry, "m1")
    state = registry.channels.read("production")
    with pytest.raises(DataError, match="has as_of 2018-09-01"):
        registry.promote(replace(state.move, as_of="2030-01-01"), state)


def test_clocks_do_not_order_a_history(registry, monkeypatch):
    """A machine whose clock is a year behind moves last, and is last."""
    line(registry, "m1", "m2")
    monkeypatch.setattr("include.recommender.registry.registry.moved_now", lambda: "20170903T000000.000000Z")
    registry.rollback("production", **BY)
    assert [row.to_model for row in registry.channels.history("production")] == ["m1", "m2", "m1"]


def test_a_pointer_that_is_lost_stops_everything_and_is_restored_from_the_history(registry):
    channels = line(registry, "m1", "m2")
    objects = registry.objects
    objects.delete(["channels/production.json"])
    for act in (channels.read, channels.history, lambda name: registry.rollback(name, **BY)):
        with pytest.raises(DataError, match=r"pointer is gone.*highest number"):
            act("production")
    newest = max(row.key for row in objects.walk("channels/production/history/"))
    objects.write("channels/production.json", objects.read(newest))
    assert channels.read("production").model_id == "m2"
    assert registry.rollback("production", **BY).move.number == 3


def test_a_pointer_that_was_copied_from_another_channel_is_refused(registry):
    channels = line(registry, "m1")
    registry.objects.write("channels/staging.json", registry.objects.read("channels/production.json"))
    with pytest.raises(DataError, match="channel='production', expected 'staging'"):
        channels.read("staging")
    assert channels.names() == ["production", "staging"]


def test_a_damaged_entry_of_a_history_is_named(registry):
    channels = line(registry, "m1", "m2")
    first = next(registry.objects.walk("channels/production/history/")).key
    registry.objects.write(first, b"{}")
    with pytest.raises(DataError, match=f"{first}: missing field"):
        channels.history("production")
