"""Warm start: only from factors that have not seen the holdout."""

import pytest

from .. import worlds
from .harness import NOON, put_snapshot, report_of, run_dag

pytestmark = pytest.mark.slow

REVIEWS = worlds.reviews()
PAST = NOON.replace(month=7, day=3)


def starts(report):
    return {task["task"]: task["facts"].get("start") for task in report["tasks"]}["train_als"]


def test_the_candidate_begins_with_a_champion_that_ended_before_its_split_time(deployment, s3):
    put_snapshot(s3, "2018-07-02", worlds.packed(worlds.before(REVIEWS, "2018-07-02")))
    put_snapshot(s3, "2018-08-27", worlds.packed(REVIEWS))
    first = report_of(s3, run_dag(PAST)[0])
    second = report_of(s3, run_dag(warm_start=True, champion_tolerance=1)[0])
    assert starts(first) == "cold"
    assert starts(second) == f"{first['model']['model_id']}/published"
    assert len(second["training"]["loss"]) == 5
    assert second["verdict"]["decision"] == "PROMOTE"
    # The new champion has seen what a past run holds out, and the very fold that a repeated run holds out.
    assert starts(report_of(s3, run_dag(PAST, warm_start=True)[0])) == "cold"
    assert starts(report_of(s3, run_dag(warm_start=True)[0])) == "cold"
