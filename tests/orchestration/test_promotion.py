"""Promotion where the channel moves between judging and promoting, by real stages on a real store."""

import threading
from datetime import UTC, datetime

import pytest

from include.recommender.config import RetrainConfig
from include.recommender.errors import GateRejected
from include.recommender.stages import fit, judge, prepare, promote, publish
from include.recommender.stages.fit import Fitted
from include.recommender.stages.publish import Made

from .. import worlds

JULY, AUGUST, SEPTEMBER = (datetime(2018, month, 2, tzinfo=UTC) for month in (7, 8, 9))
REVIEWS = worlds.reviews(n_users=300)
CHANNEL = "production"


class Candidate:
    """A run up to its published version, judged against the champion of that moment."""

    def __init__(self, workspace, as_of, **params):
        self.workspace, self.as_of = workspace, as_of
        self.config = RetrainConfig.from_params({"iterations": 5, "resamples": 1000, **params})
        workspace.snapshots.write("2018-06-25/reviews.jsonl.gz", worlds.packed(REVIEWS))
        resolved = prepare.resolve_snapshot(workspace, None, as_of).artifact
        downloaded = prepare.download_reviews(workspace, resolved).artifact
        self.parsed = prepare.parse_reviews(workspace, downloaded, self.config.parse).artifact
        encoded = prepare.encode_interactions(workspace, self.parsed, as_of, self.config.encode).artifact
        trained = fit.train_als(workspace, self.parsed, encoded, self.config.train).artifact
        self.fitted = Fitted(encoded, trained, fit.fit_popularity(workspace, encoded, self.config).artifact)
        self.evaluated, gated = self.judge()
        again = fit.refit(workspace, self.parsed, self.fitted, as_of, self.config)
        refitted = Fitted(*(again[name].artifact for name in ("encoded", "trained", "popularity")))
        made = Made(resolved, downloaded, self.parsed, self.fitted, self.evaluated, gated, refitted)
        self.published = publish.upload_model(workspace, made, as_of, f"run {as_of}", self.config)
        self.again = []

    @property
    def model_id(self):
        return self.published.model_id

    def judge(self):
        evaluated = judge.evaluate(self.workspace, self.parsed, self.fitted, self.as_of, CHANNEL, self.config).artifact
        gated = judge.recall_gate(self.workspace, evaluated, 10, None, self.config.gate).artifact
        return evaluated, gated

    def judge_again(self):
        evaluated, gated = self.judge()
        self.again.append(evaluated.counts["champion_id"])
        judge.require_promotion(self.workspace, evaluated, gated)
        return evaluated

    def promote(self, **more):
        told = ("dag", f"run {self.as_of}", "verdict PROMOTE")
        return promote.promote_model(
            self.workspace, self.published, CHANNEL, self.evaluated, *told, self.judge_again, **more
        )


def live(workspace):
    return workspace.registry.channels.read(CHANNEL).model_id


def test_a_candidate_is_judged_again_against_whoever_was_promoted_meanwhile(workspace):
    first, second = Candidate(workspace, JULY), Candidate(workspace, SEPTEMBER)
    assert second.evaluated.counts["champion_id"] is None
    assert first.promote().judged_again == 0
    promotion = second.promote()
    assert (promotion.moved, promotion.judged_again, second.again) == (True, 1, [first.model_id])
    assert live(workspace) == second.model_id
    assert workspace.registry.channels.history(CHANNEL)[-1].from_model == first.model_id


def test_one_that_does_not_pass_against_the_new_champion_is_refused_with_the_new_table(workspace):
    weak, strong = Candidate(workspace, SEPTEMBER, factors=2), Candidate(workspace, AUGUST)
    assert weak.published.verdict == "PROMOTE"
    strong.promote()
    with pytest.raises(GateRejected) as caught:
        weak.promote()
    assert "Judged again, it does not pass" in str(caught.value)
    assert "Verdict: REJECT: worse than the champion" in str(caught.value)
    assert live(workspace) == strong.model_id


def test_of_promotions_at_once_the_newest_knowledge_is_live_in_the_end(workspace):
    candidates = [Candidate(workspace, as_of) for as_of in (JULY, AUGUST, SEPTEMBER)]
    together, told = threading.Barrier(len(candidates)), {}

    def promote(candidate):
        together.wait()
        told[candidate.model_id] = candidate.promote()

    threads = [threading.Thread(target=promote, args=(each,)) for each in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(told) == {each.model_id for each in candidates}
    assert live(workspace) == candidates[-1].model_id
    history = workspace.registry.channels.history(CHANNEL)
    assert [move.as_of for move in history] == sorted(move.as_of for move in history)
    assert [move.from_model for move in history] == [None, *(move.to_model for move in history[:-1])]
    assert {move.to_model for move in history} == {name for name, promotion in told.items() if promotion.moved}


def test_a_version_that_was_rolled_back_is_not_promoted_again_unless_a_person_forces_it(workspace):
    first, second = Candidate(workspace, JULY), Candidate(workspace, SEPTEMBER)
    first.promote()
    second.promote()
    workspace.registry.rollback(CHANNEL, who="ann", why="one item to everybody")
    promotion = second.promote()
    assert not promotion.moved
    assert "was rolled back by ann (one item to everybody)" in promotion.why
    assert live(workspace) == first.model_id
    assert second.promote(forced=True).moved
    assert workspace.registry.channels.history(CHANNEL)[-1].kind == "force"


def test_a_model_that_is_judged_anew_against_another_champion_is_the_same_version(workspace):
    Candidate(workspace, JULY).promote()
    first = Candidate(workspace, SEPTEMBER)
    first.promote()
    kept = workspace.registry.manifest(first.model_id)
    again = Candidate(workspace, SEPTEMBER)
    assert (first.evaluated.counts["champion_how"], again.evaluated.counts["champion_how"]) == ("published", "none")
    assert (again.model_id, again.published.fresh) == (first.model_id, False)
    assert workspace.registry.manifest(first.model_id) == kept
