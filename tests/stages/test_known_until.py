"""What a run knows is dated by its data: not by its nominal date, and not by a review with a clock that was wrong."""

import gzip
from datetime import UTC, datetime

import pytest

from include.recommender.config import EncodeConfig, ParseConfig
from include.recommender.errors import ConfigError
from include.recommender.models import memory
from include.recommender.stages import prepare

from ..data.review_files import MID, lines

DAY_S, START_S = 86_400, 1_300_000_000
LAST_S = START_S + 1499 * DAY_S
ROWS = [
    {**MID, "reviewerID": f"U{n % 50}", "asin": f"B{n % 97}", "unixReviewTime": START_S + n * DAY_S}
    for n in range(1500)
]
FUTURE = {**MID, "reviewerID": "U1", "asin": "B1", "unixReviewTime": 4_070_908_800}


@pytest.fixture
def parsed(workspace, s3):
    """The artifact of reviews with one of the year 2099."""
    workspace.snapshots.write("2018-10-01/a.json.gz", gzip.compress(lines(*ROWS, FUTURE), mtime=0))
    resolved = prepare.resolve_snapshot(workspace, "2018-10-01", datetime(2018, 10, 1, tzinfo=UTC)).artifact
    downloaded = prepare.download_reviews(workspace, resolved).artifact
    return prepare.parse_reviews(workspace, downloaded, ParseConfig()).artifact


def as_of(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def test_runs_that_know_the_same_share_one_fold_also_before_an_odd_review(workspace, parsed):
    first = prepare.encode_interactions(workspace, parsed, as_of(LAST_S + DAY_S), EncodeConfig())
    for later in (LAST_S + 1, LAST_S + 900 * DAY_S, 4_070_908_801):
        again = prepare.encode_interactions(workspace, parsed, as_of(later), EncodeConfig())
        assert again.reused
        assert again.artifact.digest == first.artifact.digest
    between = [
        prepare.encode_interactions(workspace, parsed, as_of(START_S + 700 * DAY_S + more), EncodeConfig()).artifact
        for more in (1, DAY_S)
    ]
    assert between[0].digest == between[1].digest != first.artifact.digest


def test_the_published_fold_counts_ages_from_the_last_review_that_can_be_true(workspace, parsed):
    config = EncodeConfig(holdout_fraction=0.0)
    counts = prepare.encode_interactions(workspace, parsed, as_of(4_070_908_801), config).artifact.counts
    assert (counts["last_s"], counts["split_s"], counts["after_as_of"]) == (LAST_S, LAST_S + 1, 1)


def test_encoding_that_cannot_fit_is_refused_with_the_counts(workspace, parsed, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 100_000)
    with pytest.raises(
        ConfigError, match=r"^1,501 reviews, to be encoded .* need about 0\.00 GB of memory.*Bring fewer"
    ):
        prepare.encode_interactions(workspace, parsed, as_of(LAST_S), EncodeConfig())
