"""Every object has a Content-Type: a report opens in the browser instead of being downloaded."""

import pytest

from include.recommender.storage.content_types import content_type
from include.recommender.tuning.tuned import write_tuned

from ..candidates import JULY, Candidate
from ..conftest import BUCKET
from ..documents import evidence
from ..reporting.runs import begin, record

TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "npy": "application/x-npy",
    "gz": "application/gzip",
}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("reports/a/report.html", "text/html; charset=utf-8"),
        ("reports/a/PLOT.SVG", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("snapshots/2018-01-01/x.json.gz", "application/gzip"),
        ("snapshots/2018-01-01/x.jsonl", "application/x-ndjson"),
        ("a.html/b", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_the_ending_decides(key, expected):
    assert content_type(key) == expected


def test_every_object_that_a_story_of_stages_writes_has_its_type(workspace, s3):
    from include.recommender.stages import profiles as quality
    from include.recommender.stages import run_report as report

    candidate = Candidate(workspace, JULY)
    candidate.promote()
    quality.check_snapshot(workspace, "2018-06-25", candidate.parsed, candidate.config.quality)
    journal = begin(workspace)
    journal.write(record("resolve_snapshot"))
    report.write_report(workspace, journal.run_id)
    write_tuned(workspace.root, JULY, {}, evidence(), better=False)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [row["Key"] for page in pages for row in page["Contents"]]
    found = {key: s3.head_object(Bucket=BUCKET, Key=key)["ContentType"] for key in keys}
    assert found == {key: TYPES[key.rpartition(".")[2]] for key in keys}
    assert {key.rpartition(".")[2] for key in keys} == set(TYPES)
    assert {key.split("/")[1] for key in keys} == {
        *("snapshots", "artifacts", "models", "channels", "reports", "tuned")
    }
