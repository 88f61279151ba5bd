"""The versions that were live before the champion, compared on a real store by the real stages."""

import pytest

from include.recommender.errors import GateRejected
from include.recommender.registry.registry import Actor

from ..candidates import CHANNEL, FEEBLE, SEPTEMBER, Candidate

pytestmark = pytest.mark.slow

STRONG = {"factors": 16}
WEAK, AS_WEAK = {**FEEBLE, "champion_tolerance": 1.0}, {**FEEBLE, "iterations": 6}


def versions(candidate):
    return {row["name"]: row["model_id"] for row in candidate.evaluated.counts["versions"]}


def test_a_candidate_as_good_as_the_champion_is_refused_where_an_earlier_version_is_far_better(workspace):
    strong = Candidate(workspace, SEPTEMBER, **STRONG)
    strong.promote()
    weak = Candidate(workspace, SEPTEMBER, **WEAK)
    assert weak.promote().moved
    with pytest.raises(GateRejected, match="REJECT"):
        Candidate(workspace, SEPTEMBER, **AS_WEAK)
    allowed = Candidate(workspace, SEPTEMBER, **AS_WEAK, champion_tolerance=1.0)
    assert versions(allowed) == {"champion": weak.model_id, "earlier_1": strong.model_id}
    # A damaged version of the past stops nobody, and is named.
    workspace.root.delete([f"models/{strong.model_id}/judged_item_factors.npy"])
    (workspace.cache / "models" / strong.model_id / "judged_item_factors.npy").unlink()
    without = Candidate(workspace, SEPTEMBER, **WEAK, iterations=7)
    assert versions(without) == {"champion": weak.model_id}
    assert "judged_item_factors.npy" in without.evaluated.counts["not_compared"][strong.model_id]


def test_what_a_person_forced_and_what_was_rolled_back_is_no_reference(workspace):
    strong = Candidate(workspace, SEPTEMBER, **STRONG)
    strong.promote()
    weak = Candidate(workspace, SEPTEMBER, **WEAK)
    assert weak.promote(force_reason="a person wants it so").moved
    after = Candidate(workspace, SEPTEMBER, **AS_WEAK)
    assert versions(after) == {"champion": weak.model_id}
    workspace.registry.rollback(CHANNEL, by=Actor("ann", "one item to everybody"))
    again = Candidate(workspace, SEPTEMBER, **STRONG, iterations=6)
    assert versions(again) == {"champion": strong.model_id}
