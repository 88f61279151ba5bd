"""Promotion where the channel moves between judging and promoting, by real stages on a real store."""

import threading

import pytest

from include.recommender.errors import DataError, GateRejected
from include.recommender.parameters.of_registry import WHY_CHARS
from include.recommender.registry.registry import Actor
from include.recommender.registry.versions import file_key

from ..candidates import AUGUST, CHANNEL, FEEBLE, JULY, SEPTEMBER, Candidate


def live(workspace):
    return workspace.registry.channels.read(CHANNEL).model_id


@pytest.mark.slow
def test_a_candidate_is_judged_again_against_whoever_was_promoted_meanwhile(workspace):
    first, second = Candidate(workspace, JULY), Candidate(workspace, SEPTEMBER)
    assert second.evaluated.counts["champion_id"] is None
    assert first.promote().judged_again == 0
    promotion = second.promote()
    assert (promotion.moved, promotion.judged_again, second.again) == (True, 1, [first.model_id])
    assert live(workspace) == second.model_id
    assert workspace.registry.channels.history(CHANNEL)[-1].from_model == first.model_id


@pytest.mark.slow
def test_one_that_does_not_pass_against_the_new_champion_is_refused_in_one_line(workspace):
    weak, strong = Candidate(workspace, SEPTEMBER, **FEEBLE), Candidate(workspace, AUGUST)
    assert weak.published.verdict == "PROMOTE"
    strong.promote()
    with pytest.raises(GateRejected) as caught:
        weak.promote()
    assert "Judged again, the candidate does not pass" in str(caught.value)
    last = str(caught.value).splitlines()[-1]
    assert last.startswith("REJECT: worse than the champion")
    assert last.endswith("Nothing is published.")
    assert live(workspace) == strong.model_id


@pytest.mark.slow
def test_of_promotions_at_once_the_newest_knowledge_is_live_in_the_end(workspace):
    candidates = [Candidate(workspace, as_of) for as_of in (JULY, AUGUST, SEPTEMBER)]
    together, outcomes = threading.Barrier(len(candidates)), {}

    def promote(candidate):
        together.wait()
        outcomes[candidate.model_id] = candidate.promote()

    threads = [threading.Thread(target=promote, args=(each,)) for each in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {each.model_id for each in candidates}
    assert live(workspace) == candidates[-1].model_id
    history = workspace.registry.channels.history(CHANNEL)
    assert [move.known_until for move in history] == sorted(move.known_until for move in history)
    assert [move.from_model for move in history] == [None, *(move.to_model for move in history[:-1])]
    assert {move.to_model for move in history} == {name for name, promotion in outcomes.items() if promotion.moved}


def test_a_version_that_was_rolled_back_is_not_promoted_again_unless_a_person_forces_it(workspace):
    first, second = Candidate(workspace, JULY), Candidate(workspace, SEPTEMBER)
    first.promote()
    second.promote()
    workspace.registry.rollback(CHANNEL, by=Actor("ann", "one item to everybody"))
    promotion = second.promote()
    assert not promotion.moved
    assert "was rolled back by ann (one item to everybody)" in promotion.why
    assert live(workspace) == first.model_id
    assert second.promote(force_reason="a person wants it so").moved
    assert workspace.registry.channels.history(CHANNEL)[-1].kind == "force"


@pytest.mark.slow
def test_a_model_that_is_judged_anew_against_another_champion_is_the_same_version(workspace):
    Candidate(workspace, JULY).promote()
    first = Candidate(workspace, SEPTEMBER)
    first.promote()
    kept = workspace.registry.manifest(first.model_id)
    again = Candidate(workspace, SEPTEMBER)
    assert (first.evaluated.counts["champion_how"], again.evaluated.counts["champion_how"]) == ("published", "none")
    assert (again.model_id, again.published.fresh) == (first.model_id, False)
    assert workspace.registry.manifest(first.model_id) == kept


@pytest.mark.slow
def test_a_version_that_lost_a_file_is_not_promoted_and_is_whole_again_once_it_is_made_anew(workspace):
    Candidate(workspace, JULY).promote()
    second = Candidate(workspace, SEPTEMBER)
    before, manifest = live(workspace), workspace.registry.manifest(second.model_id)
    key = file_key(second.model_id, manifest.files["published_item_factors.npy"])
    workspace.root.delete([key])
    with pytest.raises(DataError, match=rf"{key}: is not there, expected .* bytes(.|\n)*{CHANNEL} was not moved"):
        second.promote()
    assert live(workspace) == before
    assert not Candidate(workspace, SEPTEMBER).published.fresh
    assert second.promote().moved


def test_who_and_why_are_stored_as_given_and_a_long_note_fails_no_promotion(workspace):
    candidate = Candidate(workspace, JULY)
    who, why = "Änne O'Neil <ann@shop.example> (recommender_retrain, manual)", "approved: " + "looks good. " * 1000
    candidate.promote(who=who, why=why)
    move = workspace.registry.channels.history(CHANNEL)[-1]
    assert move.who == who
    assert (move.why[:-1], move.why[-1]) == (why[: WHY_CHARS - 1], "…")
