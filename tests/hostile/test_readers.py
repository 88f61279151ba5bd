"""Every reader of a stored document: hostile content ends in one of our errors, and nothing is written elsewhere.

Each reader gets its document with a field changed, and whole documents that are none. The quick test changes each
fourth field, the slow one all.
"""

import json
from datetime import UTC, datetime
from itertools import islice

import msgspec
import pytest

from include.recommender.errors import DataError, RecommenderError
from include.recommender.registry.registry import Registry
from include.recommender.registry.sealed import write_document
from include.recommender.registry.versions import Tombstone
from include.recommender.reporting import trend
from include.recommender.reporting.collect import collect
from include.recommender.runs.journal import Journal
from include.recommender.stages import profiles as quality
from include.recommender.stages.workspace import Stage, run_once
from include.recommender.storage.plain_names import plain_name
from include.recommender.tuning.tuned import list_tuned, newest_tuned, read_tuned, write_tuned
from local.dag_run import copy_pages

from ..documents import evidence, parse_counts
from ..registry import makers
from ..reporting.runs import begin, record
from .mutations import RAW, mutations

AS_OF = datetime(2018, 9, 1, tzinfo=UTC)
PARSED = msgspec.to_builtins(parse_counts())


def manifest(workspace):
    made = run_once(
        workspace,
        Stage("parse_reviews", "1"),
        config={},
        inputs={"files": "d"},
        make=lambda d: (d / "a").write_text("a") and PARSED,
    )
    artifact = made.artifact

    def read():
        found = workspace.artifacts.open(artifact.uri)
        assert (found.stage, found.fingerprint, found.files) == (artifact.stage, artifact.fingerprint, artifact.files)
        assert (workspace.artifacts.path(found) / "a").read_text() == "a"

    return f"artifacts/parse_reviews/{artifact.fingerprint}/manifest.json", read


def tuned(workspace):
    values = {"alpha": 90.0, "factors": 32}
    name = write_tuned(workspace.root, AS_OF, values, evidence(), better=True)

    def read():
        found = newest_tuned(workspace.root, AS_OF)  # passes a damaged one over
        assert found is None or found.values == values
        assert list_tuned(workspace.root) == [name]
        assert read_tuned(workspace.root, name).values == values

    return f"tuned/{name}.json", read


def run_record(workspace):
    journal = begin(workspace)

    def read():
        collect(journal, workspace.artifacts)  # never raises
        assert journal.read_run().run_id == "manual__1"

    return "reports/manual__1/run.json", read


def task_record(workspace):
    journal = begin(workspace)
    artifacts = {"parse_reviews": workspace.root.uri("artifacts/parse_reviews/" + "0" * 32)}
    journal.write(record("parse_reviews", artifacts=artifacts, facts={"snapshot": "2018-09-01"}))

    def read():
        collect(journal, workspace.artifacts)
        assert journal.read("parse_reviews").task == "parse_reviews"

    return "reports/manual__1/tasks/parse_reviews.json", read


def profile(workspace):
    made = run_once(workspace, Stage("parse_reviews", "1"), config={}, inputs={}, make=lambda d: PARSED).artifact
    config = quality.QualityConfig()
    quality.check_snapshot(workspace, "2018-08-01", made, config)
    return f"{quality.FOLDER}/2018-08-01.json", lambda: quality.check_snapshot(workspace, "2018-09-01", made, config)


def report(workspace):
    body = {
        "run": {"as_of": AS_OF.isoformat(), "channel": "production", "snapshot": "2018-09-01"},
        "verdict": {"decision": "HOLD", "top_k": 10, "candidate_recall": 0.1, "baseline_recall": 0.2, "baseline": "x"},
        "model": {"model_id": "20180901-0123456789ab"},
        "error": {"kind": "DataError"},
        "snapshot": {"snapshot": "2018-09-01"},
    }
    workspace.root.write("reports/manual__1/report.json", json.dumps(body).encode())
    local = workspace.cache.parent / "allowed"

    def read():
        trend.points(workspace.root, "production")
        copy_pages(workspace.root, "reports/manual__1", "production", local)

    return "reports/manual__1/report.json", read


def drawn_report(workspace):
    key, _ = report(workspace)
    return key, lambda: trend.render_trend(trend.read_runs(workspace.root, "production"), "production")


def pointer(workspace):
    makers.line(Registry(workspace.root), makers.M1)

    def read():
        state = workspace.registry.channels.read("production")
        plain_name(state.model_id)
        workspace.registry.channels.history("production")

    return "channels/production.json", read


def bundle(workspace):
    name = makers.publish(Registry(workspace.root), makers.M1)
    target = workspace.cache / "models" / name

    def read():
        found = workspace.registry.manifest(name)
        for file in found.files:
            if file not in ALL_THE_SAME:
                workspace.registry.fetch_file(found, file, target)

    return f"models/{name}/manifest.json", read


def tombstone(workspace):
    registry = Registry(workspace.root)
    name = makers.publish(registry, makers.M1)
    gone = Tombstone(retired_at=AS_OF, who="ann", manifest=registry.manifest(name))
    workspace.root.write(f"retired/{name}.json", write_document(gone))
    return f"retired/{name}.json", lambda: registry.tombstone(name)


FILES = ("item_factors.npy", "prior.npy", "items.parquet")
# Files of the bundle that need not be fetched for each attack.
ALL_THE_SAME = {f"{part}_{each}" for part in ("judged", "published") for each in FILES} | {"MODEL_CARD.md"}
ALL_THE_SAME |= {"seen_times.npy", "seen_ratings.npy", "seen_verified.npy", "seen_users.parquet"}
READERS = [manifest, tuned, run_record, task_record, profile, report, pointer, bundle, tombstone]
LENIENT = (report, drawn_report)  # what is wrong with one report is left out of the chart
by_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)


def outside(workspace):
    """All files but those of the cache and of the copies of reports."""
    home = workspace.cache.parent
    rows = (path.relative_to(home) for path in home.rglob("*") if not path.is_dir())
    return sorted(row.as_posix() for row in rows if row.parts[0] not in {workspace.cache.name, "allowed"})


def attack(workspace, reader, documents):
    """Put each document in the place of the reader's own, and read; return how many were refused."""
    key, read = reader(workspace)
    read()
    before, refused = outside(workspace), 0
    for what, raw in documents(json.loads(workspace.root.read(key))):
        workspace.root.write(key, raw)
        try:
            read()
        except RecommenderError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{key} {what}: {type(error).__name__}: {error}") from error
        assert outside(workspace) == before, what
    return refused


@by_reader
def test_each_fourth_field_is_checked(workspace, reader):
    assert attack(workspace, reader, lambda body: islice(mutations(body, per_place=1), 0, None, 4)) or reader in LENIENT


@pytest.mark.slow
@pytest.mark.parametrize("reader", [*READERS, drawn_report], ids=lambda reader: reader.__name__)
def test_each_field_is_checked_against_many_values(workspace, reader):
    """Eight of the values for each field, in turns: over the fields of a document all of them."""
    assert attack(workspace, reader, lambda body: mutations(body, per_place=8)) or reader in LENIENT


@by_reader
def test_what_is_no_document_is_refused(workspace, reader):
    assert attack(workspace, reader, lambda body: RAW.items()) or reader in LENIENT


def test_what_is_refused_is_named_with_what_to_do(workspace):
    for reader, expected in (
        (manifest, "manifest.json: .*Delete the folder"),
        (tuned, "tuned/.*json: .*run recommender_tune again"),
        (run_record, "run.json: .*Delete it"),
        (profile, "profiles/2018-08-01.json: .*Delete it"),
        (pointer, "channels/production.json: .*Copy the entry"),
    ):
        key, read = reader(workspace)
        workspace.root.write(key, b'{"format": 2, "as_of": 3}')
        with pytest.raises(DataError, match=f"(?s){expected}"):
            read()
        workspace.root.delete([key])


@pytest.mark.parametrize("name", ["..", ".hidden", "javascript:alert(1)", "a\\b", "x\x07y", "a\x7f"])
def test_a_folder_of_reports_with_a_strange_name_is_passed_over(workspace, name):
    report(workspace)
    body = workspace.root.read("reports/manual__1/report.json")
    workspace.root.client.put_object(
        Bucket=workspace.root.bucket, Key=f"{workspace.root.prefix}/reports/{name}/report.json", Body=body
    )
    before = outside(workspace)
    assert [point.report for point in trend.points(workspace.root, "production")] == ["manual__1/report.html"]
    local = workspace.cache.parent / "allowed"
    copy_pages(workspace.root, "reports/manual__1", "production", local)
    assert outside(workspace) == before
    assert [path.name for path in (local / "reports" / "shop").iterdir() if path.is_dir()] == ["manual__1"]


def test_a_channel_that_leads_elsewhere_writes_no_page(workspace):
    report(workspace)
    with pytest.raises(DataError, match="channel"):
        copy_pages(workspace.root, "reports/manual__1", "/../../evil", workspace.cache.parent / "allowed")


def test_a_page_is_not_written_through_a_link(workspace):
    report(workspace)
    local, target = workspace.cache.parent / "allowed", workspace.cache.parent / "precious"
    target.write_text("precious")
    page = local / "reports" / "shop" / "manual__1" / "report.json"
    page.parent.mkdir(parents=True)
    page.symlink_to(target)
    copy_pages(workspace.root, "reports/manual__1", "production", local)
    assert target.read_text() == "precious"
    assert not page.is_symlink()


def test_tasks_of_a_run_with_strange_names_are_passed_over(workspace):
    journal = begin(workspace)
    for name in ("../run", "a/b", ".x", "ok"):
        workspace.root.write(f"{journal.folder}/tasks/{name}.json", b"{}")
    assert Journal(workspace.root, "manual__1").tasks() == ["ok"]
