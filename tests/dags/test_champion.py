"""The champion against a candidate: only on what it has not seen."""

import pytest

from .. import worlds
from ..candidates import FEEBLE
from .harness import NOON, put_snapshot, report_of, run_dag

pytestmark = pytest.mark.slow

REVIEWS = worlds.reviews()


def test_a_later_run_judges_the_champion_on_a_holdout_that_it_has_not_seen(deployment, s3):
    put_snapshot(s3, "2018-07-02", worlds.packed(worlds.before(REVIEWS, "2018-07-02")))
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS))
    run_dag(NOON.replace(month=7, day=3))
    run, _ = run_dag()
    report = report_of(s3, run)
    assert "champion" in report["judged"]
    assert "its judged factors" in report["champion"]
    assert report["verdict"]["champion_recall"] > 0


def test_a_champion_that_has_seen_the_holdout_is_fitted_anew(deployment, s3):
    put_snapshot(s3, "2018-07-02", worlds.packed(worlds.before(REVIEWS, "2018-07-02")))
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS))
    run_dag(factors=4, min_item_interactions=3)
    past = NOON.replace(month=7, day=3)
    run, states = run_dag(past)
    report = report_of(s3, run)
    assert "fitted again" in report["champion"]
    assert report["judged"]["champion"] != report["judged"]["candidate"]
    run, states = run_dag(past, factors=4, min_item_interactions=3)
    assert "nothing to compare" in report_of(s3, run)["champion"]
    assert states["promote_model"] == "skipped"


def test_a_candidate_worse_than_the_champion_is_rejected(deployment, s3):
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS))
    run_dag()
    run, states = run_dag(**FEEBLE)
    assert states["recall_gate"] == "failed"
    report = report_of(s3, run)
    assert report["verdict"]["decision"] in {"REJECT", "HOLD"}
    assert report["verdict"]["against_champion"]["high"] < 0
