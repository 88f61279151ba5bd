"""Which objects of a snapshot are its review files, and where they lie on disk."""

from datetime import UTC, datetime

import pytest

from include.recommender.data import snapshots
from include.recommender.data.file_names import UNFINISHED
from include.recommender.errors import DataError
from include.recommender.stages import prepare
from include.recommender.storage.objects import ObjectInfo

from .review_files import MID, lines

NOW = datetime(2018, 10, 2, tzinfo=UTC)


def put(workspace, *paths: str) -> None:
    for number, path in enumerate(paths):
        workspace.snapshots.write(f"2018-10-01/{path}", lines(*[MID] * 3) + b"\n" * number)


def found(workspace) -> list[str]:
    return [row.key for row in snapshots.resolve(workspace.snapshots, None, NOW).objects]


def test_files_of_jobs_and_systems_are_left_out_and_named(workspace, caplog):
    put(workspace, "part-0.json", "_temporary/0/task_1/part-0.json", "._part-0.json", ".part-0.json.crc", "_SUCCESS")
    put(workspace, "year=2018/part-0.json", "year=2018/_x.json", "A.JSON.GZ", "ratings.csv.gz", "notes.txt")
    expected = ["A.JSON.GZ", "part-0.json", "year=2018/part-0.json"]
    assert found(workspace) == [f"2018-10-01/{path}" for path in expected]
    hidden = "._part-0.json, .part-0.json.crc, _SUCCESS, _temporary/0/task_1/part-0.json, year=2018/_x.json"
    assert f"2018-10-01/: left out: {hidden} (names that begin with _ or ." in caplog.text
    assert "left out: notes.txt (its name does not end in .json, .jsonl, .json.gz, .jsonl.gz)" in caplog.text
    assert "left out: ratings.csv.gz (CSV; python -m local.ratings makes reviews of ratings)" in caplog.text


def test_a_snapshot_of_nothing_else_names_what_it_holds(workspace):
    put(workspace, "_temporary/0/part-0.json", "Toys.csv")
    with pytest.raises(DataError, match=r"2018-10-01/: no review file; left out: .*Toys\.csv .*_temporary/0/part-0"):
        found(workspace)
    assert not snapshots.has_landed(workspace.snapshots, "2018-10-01")
    put(workspace, "part-0.json")
    assert snapshots.has_landed(workspace.snapshots, "2018-10-01")


def test_many_files_left_out_are_counted(workspace, caplog):
    put(workspace, "a.json", *(f"{n:03}.txt" for n in range(13)))
    found(workspace)
    assert "009.txt and 3 more (" in caplog.text


def test_a_snapshot_whose_upload_goes_on_is_refused_and_has_not_landed(workspace):
    put(workspace, "a.json", UNFINISHED)
    with pytest.raises(DataError, match=rf"2018-10-01/: holds {UNFINISHED}.*Upload it again"):
        found(workspace)
    assert not snapshots.has_landed(workspace.snapshots, "2018-10-01")
    workspace.snapshots.delete([f"2018-10-01/{UNFINISHED}"])
    assert snapshots.has_landed(workspace.snapshots, "2018-10-01")
    assert found(workspace) == ["2018-10-01/a.json"]


def test_messages_name_the_path_within_the_snapshot(workspace, caplog):
    caplog.set_level("INFO")
    put(workspace, "shop/good.json", "shop/a \u202e.json")
    workspace.snapshots.write("2018-10-01/shop/bad.json", b"<html>")
    listed = prepare.resolve_snapshot(workspace, None, NOW).artifact
    downloaded = prepare.download_reviews(workspace, listed).artifact
    with pytest.raises(DataError, match=r"^shop/bad\.json: is HTML"):
        prepare.parse_reviews(workspace, downloaded, prepare.ParseConfig())
    assert "Parsing 1 of 3: shop/a \\u202e" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("include")]
    assert "\u202e" not in "".join(ours)


@pytest.mark.parametrize("character", ["\x1b[2J", "\r", "\x7f", "\x9b"])
def test_a_key_with_a_control_character_is_refused_without_showing_it(workspace, caplog, character):
    put(workspace, "shop/good.json", f"shop/a{character}.json")
    with pytest.raises(DataError, match="control character") as refused:
        prepare.resolve_snapshot(workspace, None, NOW)
    assert character not in str(refused.value)


def test_a_parse_counts_its_files_and_warns_of_the_same_bytes(workspace, caplog):
    caplog.set_level("INFO")
    put(workspace, "a.json")
    put(workspace, "b.json")
    listed = prepare.resolve_snapshot(workspace, None, NOW).artifact
    downloaded = prepare.download_reviews(workspace, listed).artifact
    parsed = prepare.parse_reviews(workspace, downloaded, prepare.ParseConfig()).artifact
    assert (parsed.counts["files"], parsed.counts["reviews"]) == (2, 6)
    assert "Parsed 2 of 2 files: 6 reviews" in caplog.text
    assert "The same bytes in 2 files, all of them read: a.json, b.json" in caplog.text


def test_a_small_share_of_bad_lines_is_named_whenever_the_parse_is_used(workspace, caplog):
    good = lines(*[MID] * 19)
    workspace.snapshots.write("2018-10-01/a.json", good + b"{oops\n")
    listed = prepare.resolve_snapshot(workspace, None, NOW).artifact
    downloaded = prepare.download_reviews(workspace, listed).artifact
    for reused in (False, True):
        caplog.clear()
        outcome = prepare.parse_reviews(workspace, downloaded, prepare.ParseConfig(max_bad_share=0.1))
        (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
        assert outcome.reused is reused
        assert "1 of 20 lines (5.00 %) are unusable and left out. Commonest reasons: " in warning
        kept = warning.rpartition(workspace.root.uri(""))[2]
        assert kept == outcome.artifact.key("quarantine.jsonl.gz")
        assert workspace.root.exists(kept)


@pytest.mark.parametrize(
    ("key", "etag"),
    [
        ("d/" + "x" * 1000 + ".json", '"e"'),
        ("d/../../x.json", '"e"'),
        ("d/x.json", '"../../../etc"'),
        ("d/a\nb.json", ""),
    ],
)
def test_neither_key_nor_etag_decides_a_path(tmp_path, key, etag):
    path = snapshots.local_path(tmp_path, ObjectInfo(key, 3, etag))
    assert path.relative_to(tmp_path).parts[0] == "reviews"
    assert len(path.relative_to(tmp_path).parts) == 3
    assert all(len(part) < 50 for part in path.relative_to(tmp_path).parts)
    assert path.parent.name.isalnum()
    assert path != snapshots.local_path(tmp_path, ObjectInfo(key, 3, f"{etag}2"))
    assert path != snapshots.local_path(tmp_path, ObjectInfo(f"{key}2", 3, etag))


def test_an_object_that_is_on_the_machine_is_not_fetched_again(workspace):
    """It comes again in the next snapshot with the same path, version and size; what changed on disk is fetched."""
    asked = []
    workspace.root.client.meta.events.register(
        "before-call.s3.GetObject", lambda params, **_: asked.append(params["headers"].get("Range"))
    )
    for day in ("2018-06-25", "2018-07-02"):
        workspace.snapshots.write(f"{day}/a.json", b'{"a": 1}\n')
    first, second = (snapshots.resolve(workspace.snapshots, day, NOW).objects for day in ("2018-06-25", "2018-07-02"))
    files = snapshots.download(workspace.snapshots, first, workspace.cache)
    assert [file.sha256 for file in snapshots.download(workspace.snapshots, second, workspace.cache)] == [
        file.sha256 for file in files
    ]
    assert len([each for each in asked if each]) == 1
    snapshots.local_path(workspace.cache, second[0]).write_bytes(b'{"a": 2}\n')
    snapshots.download(workspace.snapshots, second, workspace.cache)
    assert len([each for each in asked if each]) == 2
    assert snapshots.local_path(workspace.cache, second[0]).read_bytes() == b'{"a": 1}\n'
