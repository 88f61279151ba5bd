"""Going back, and who may go where."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from include.recommender.errors import ConfigError, DataError, NotFound
from include.recommender.registry.registry import Actor
from include.recommender.registry.versions import manifest_key

from .makers import M1, M2, M3, OLD, Version, line, move, publish, version

BY = Actor("ann@shop", "sells nothing")


@pytest.fixture
def registry(workspace):
    return workspace.registry


def test_a_rollback_goes_to_the_version_before_and_a_second_one_further_back(registry):
    channels = line(registry, M1, M2, M3)
    assert [registry.rollback("production", by=BY).model_id for _ in range(2)] == [M2, M1]
    last = channels.history("production")[-1]
    assert (last.kind, last.from_model, last.to_model, last.who, last.why) == ("rollback", M2, M1, BY.who, BY.why)
    assert (last.number, last.known_until, last.verdict, last.run) == (5, M1.known_until, "PROMOTE", "by hand")
    with pytest.raises(ConfigError, match=f"no version below {M1}"):
        registry.rollback("production", by=BY)
    assert channels.read("production").model_id == M1


def test_a_rollback_may_name_a_version_further_back_and_no_other(registry):
    line(registry, M1, M2, M3)
    m9 = publish(registry, version("m9", 9))
    for name in (M3, m9, "nothing"):
        with pytest.raises(ConfigError, match=rf"goes to one of {M2}, {M1}\."):
            registry.rollback("production", name, by=BY)
    assert registry.rollback("production", M1, by=BY).model_id == M1
    assert registry.was_rolled_back("production", M2).why == "sells nothing"


def test_a_retired_version_is_passed_over_and_cannot_be_named(registry, caplog):
    line(registry, M1, M2, M3)
    registry.objects.delete([manifest_key(M2)])
    with pytest.raises(NotFound, match=f"models/{M2}"):
        registry.rollback("production", M2, by=BY)
    assert registry.rollback("production", by=BY).model_id == M1
    assert "Skipped" in caplog.text


def test_there_is_nothing_to_go_back_to(registry):
    with pytest.raises(ConfigError, match="points nowhere yet"):
        registry.rollback("production", by=BY)
    line(registry, M1)
    with pytest.raises(ConfigError, match="Promote one by hand"):
        registry.rollback("production", by=BY)
    with pytest.raises(ConfigError, match="why"):
        registry.rollback("production", by=Actor("ann", "  "))


def test_what_was_rolled_back_is_known_until_a_person_brings_it_back(registry):
    line(registry, M1, M2)
    assert registry.was_rolled_back("production", M2) is None
    taken_off = registry.rollback("production", by=BY).move
    assert registry.was_rolled_back("production", M2) == taken_off
    assert registry.was_rolled_back("production", M1) is None
    assert registry.was_rolled_back("staging", M2) is None
    registry.promote_by_hand("production", M2, by=Actor("ann", "was the data after all"))
    assert registry.was_rolled_back("production", M2) is None
    assert registry.rollback("production", by=BY).model_id == M1


def test_a_promotion_goes_to_older_knowledge_only_when_it_is_forced(registry):
    line(registry, M2)
    publish(registry, OLD)
    with pytest.raises(ConfigError, match="--allow-older"):
        move(registry, OLD)
    with pytest.raises(ConfigError, match="--allow-older"):
        registry.promote_by_hand("production", OLD, by=Actor("ann", "reason"))
    assert registry.channels.read("production").model_id == M2
    state = registry.promote_by_hand("production", OLD, by=Actor("ann", "reason"), allow_older=True)
    assert (state.model_id, state.move.kind) == (OLD, "force")
    older = publish(registry, Version("older", "2018-07-01T00:00:00+00:00"))
    assert move(registry, older, kind="force").model_id == older


def test_versions_are_compared_by_what_they_know_not_by_the_dates_of_their_runs(registry):
    """The first one was published by a run of 2026 over data that ends on 1 September."""
    publish(registry, M1, as_of=datetime(2026, 11, 1, tzinfo=UTC))
    publish(registry, M2)
    move(registry, M1)
    assert move(registry, M2).model_id == M2
    with pytest.raises(ConfigError, match=f"{M1} knows everything until 2018-09-01.*until 2018-09-02.*--allow-older"):
        move(registry, M1)


def test_of_versions_that_know_the_same_neither_is_older(registry):
    for name in (version("a", 3), version("b", 3)):
        publish(registry, name)
        assert move(registry, name).model_id == name


def test_by_hand_a_version_that_the_gate_held_is_forced_and_nothing_moves_twice(registry):
    held = publish(registry, version("held"), decision="HOLD")
    state = registry.promote_by_hand("production", held, by=Actor("ann", "reason"))
    assert (state.move.kind, state.move.verdict) == ("force", "HOLD")
    assert registry.promote_by_hand("production", held, by=Actor("ann", "again")) == state
    assert len(registry.channels.history("production")) == 1


def test_a_move_that_says_another_instant_than_the_version_is_refused(registry):
    line(registry, M1)
    state = registry.channels.read("production")
    with pytest.raises(DataError, match=r"until 2018-09-01.*the move has 2030-01-01"):
        registry.promote(replace(state.move, known_until=datetime(2030, 1, 1, tzinfo=UTC)), state)


def test_clocks_do_not_order_a_history(registry, monkeypatch):
    """A machine whose clock is a year behind moves last, and is last."""
    line(registry, M1, M2)
    monkeypatch.setattr("include.recommender.registry.registry.moved_now", lambda: "20170903T000000.000000Z")
    registry.rollback("production", by=BY)
    assert [row.to_model for row in registry.channels.history("production")] == [M1, M2, M1]


def test_a_pointer_that_is_lost_stops_everything_and_is_restored_from_the_history(registry):
    channels = line(registry, M1, M2)
    objects = registry.objects
    objects.delete(["channels/production.json"])
    for act in (channels.read, channels.history, lambda name: registry.rollback(name, by=BY)):
        with pytest.raises(DataError, match=r"pointer is gone.*highest number"):
            act("production")
    newest = max(row.key for row in objects.walk("channels/production/history/"))
    objects.write("channels/production.json", objects.read(newest))
    assert channels.read("production").model_id == M2
    assert registry.rollback("production", by=BY).move.number == 3


def test_a_pointer_that_was_copied_from_another_channel_is_refused(registry):
    channels = line(registry, M1)
    registry.objects.write("channels/staging.json", registry.objects.read("channels/production.json"))
    with pytest.raises(DataError, match="channel='production', expected 'staging'"):
        channels.read("staging")
    assert channels.names() == ["production", "staging"]


def test_a_damaged_entry_of_a_history_is_named(registry):
    channels = line(registry, M1, M2)
    first = next(registry.objects.walk("channels/production/history/")).key
    registry.objects.write(first, b"{}")
    with pytest.raises(DataError, match=f"{first}: not a move .*the field"):
        channels.history("production")
