"""Which of two models knows more is decided by their data, not by the dates of the runs that made them."""

from datetime import UTC, datetime

import pytest

from include.recommender.stages.unchanged import unchanged

from .. import worlds
from ..candidates import REVIEWS, Candidate

MONTHS = ("2018-06-01", "2018-07-01", "2018-08-01", "2018-09-01")
LATE = datetime(2026, 11, 1, tzinfo=UTC)


def midnight(month):
    return datetime.fromisoformat(month).replace(tzinfo=UTC)


def run_of(workspace, month, as_of=None, channel="staging", **params):
    """A run over the snapshot of a month; as_of is its date unless another one is given."""
    reviews = worlds.before(REVIEWS, month)
    # The months differ by chance more than by knowledge, which is what these tests are about.
    settings = {"champion_tolerance": 1.0, **params}
    return Candidate(workspace, as_of or midnight(month), month, reviews, channel, **settings)


def known_until(month):
    """A second after the newest interaction; a repeated review of an item is none."""
    first = {}
    for row in worlds.before(REVIEWS, month):
        first.setdefault((row["reviewerID"], row["asin"]), row["unixReviewTime"])
    return datetime.fromtimestamp(max(first.values()) + 1, UTC)


@pytest.mark.slow
def test_a_replay_goes_on_over_a_month_that_a_much_later_run_had_published(workspace):
    """A scheduled run of 2026 makes, of the newest snapshot it finds, the very model of the replay's second month."""
    scheduled = run_of(workspace, MONTHS[1], LATE, channel="production")
    assert scheduled.promote().moved
    replayed = []
    for month in MONTHS:
        candidate = run_of(workspace, month)
        replayed.append((candidate, candidate.promote()))
    assert [promotion.moved for _, promotion in replayed] == [True] * len(MONTHS)
    same = replayed[1][0]
    assert (same.model_id, same.published.fresh) == (scheduled.model_id, False)
    assert workspace.registry.manifest(scheduled.model_id).as_of == LATE
    history = workspace.registry.channels.history("staging")
    assert [move.known_until for move in history] == [known_until(month) for month in MONTHS]


@pytest.mark.slow
def test_the_replay_first_and_the_late_run_after_it_end_where_the_data_ends(workspace):
    first, second = run_of(workspace, MONTHS[0]), run_of(workspace, MONTHS[1])
    first.promote()
    second.promote()
    late = run_of(workspace, MONTHS[0], LATE)
    assert late.model_id == first.model_id
    promotion = late.promote()
    assert not promotion.moved
    assert f"{first.model_id} knows everything until {known_until(MONTHS[0]).isoformat()}" in promotion.why
    assert workspace.registry.channels.read("staging").model_id == second.model_id


def test_as_of_cuts_what_is_known_within_a_snapshot(workspace):
    """Of one dump, as of a day before its end; then as of its end."""
    before_split = run_of(workspace, MONTHS[1], midnight(MONTHS[0]))
    whole = run_of(workspace, MONTHS[1])
    manifests = [workspace.registry.manifest(each.model_id) for each in (before_split, whole)]
    assert [manifest.known_until for manifest in manifests] == [known_until(month) for month in MONTHS[:2]]
    assert whole.promote().moved
    assert not before_split.promote().moved


def test_of_models_that_know_the_same_the_one_that_passes_the_gate_is_live(workspace):
    first = run_of(workspace, MONTHS[1])
    first.promote()
    other = run_of(workspace, MONTHS[1], LATE, factors=32)
    assert other.published.known_until == first.published.known_until
    assert other.promote().moved


@pytest.mark.parametrize("as_of", [None, LATE])
def test_a_run_over_the_same_reviews_is_unchanged_whatever_its_date(workspace, as_of):
    made = run_of(workspace, MONTHS[1], LATE)
    made.promote()
    again = (as_of or midnight(MONTHS[1]), "staging", made.config)
    assert unchanged(workspace, made.downloaded, *again) == made.model_id
    earlier = (midnight(MONTHS[0]), "staging", made.config)
    assert unchanged(workspace, made.downloaded, *earlier) is None
