"""What `make run` reads and prints."""

import gzip
import json
import subprocess
import sys
from datetime import datetime

import pytest

from include.recommender.config import ParseConfig
from include.recommender.errors import ConfigError, DataError
from include.recommender.runs.journal import TaskError, TaskRecord
from include.recommender.stages import prepare
from local import run, uploads, wanted
from local.airflow_env import secret
from local.dag_run import copy_pages, copy_quarantine
from local.environment import PROJECT

from .. import worlds


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.json", "a.jsonl.gz", "with blank.json", "README.md", "sub/c.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(worlds.lines(worlds.reviews(n_users=2)))
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("b.json", ["b.json"]),
        ("with blank.json", ["with blank.json"]),
        ("*.json b.json", ["b.json", "with blank.json"]),
        ("a.jsonl.gz sub", ["a.jsonl.gz", "c.gz"]),
        ("**/*.gz", ["a.jsonl.gz", "sub/c.gz"]),
        ("*", ["a.jsonl.gz", "b.json", "sub/c.gz", "with blank.json"]),
    ],
)
def test_reviews_are_found(files, wanted, found):
    assert sorted(file.name for file in uploads.find_reviews(wanted)) == found


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("no/such/*.gz", "matches no file"),
        ("b.json no.json", r"REVIEWS=no\.json: matches no file"),
        ("README.md", "none of which is a review file"),
        (" ", "blank"),
    ],
)
def test_reviews_that_are_not_there_are_refused_before_anything_starts(files, wanted, expected, capsys):
    with pytest.raises(ConfigError, match=expected):
        uploads.find_reviews(wanted)
    assert run.main(["--reviews", wanted]) == 1
    assert "Error: REVIEWS" in capsys.readouterr().err


@pytest.mark.parametrize("conf", ["{", "[1]", "3"])
def test_a_conf_that_is_no_object_is_refused(conf):
    with pytest.raises(ConfigError, match="CONF="):
        wanted.read_conf(conf)


def test_all_that_is_wrong_with_a_conf_is_reported_before_anything_starts(capsys, tmp_path):
    conf = '{"facters": 8, "factors": "many", "as_of": "yesterday", "channel": "Production!", "windows_days": [30, 0]}'
    assert run.main(["--conf", conf, "--local", str(tmp_path / "none")]) == 1
    output = capsys.readouterr().err
    assert "facters: there is no such parameter; did you mean factors? docs/parameters.md lists all" in output
    assert "factors='many': expected a whole number from 1 to 1,024" in output
    assert "as_of='yesterday': expected a date or date-time" in output
    assert "channel='Production!': expected a name" in output
    assert "windows_days=[30, 0]: not allowed in it: 0; expected a list of" in output
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("conf", ['{"as_of": null}', '{"snapshot": "2018-10-01", "force": true, "factors": 8}', ""])
def test_a_right_conf_is_taken(conf):
    assert wanted.read_conf(conf) == json.loads(conf or "{}")


def test_a_secret_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "key"
    assert secret(path, 32) == secret(path, 32)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_copies_of_reports_link_to_recall_over_time_and_back(workspace, tmp_path):
    root = workspace.root
    for key in ("now/report.html", "now/report.json", "before/report.html", "trend.html", "trend-staging.html"):
        root.write(f"reports/{key}", key.encode())
    copies = copy_pages(root, "reports/now", "staging", tmp_path)
    assert copies.report.read_bytes() == b"now/report.html"
    assert (copies.report.parent / "../trend-staging.html").read_bytes() == b"trend-staging.html"
    assert (copies.report.parent / "../trend.html").read_bytes() == b"trend.html"
    assert (copies.trend.parent / "before/report.html").read_bytes() == b"before/report.html"
    assert copy_pages(root, "reports/now", "other", tmp_path).trend is None


def parsed(workspace, day, bad):
    """What the journal says of a parse of some reviews and some bad lines."""
    about = {"task": "parse_reviews", "try_number": 1, "started_at": f"{day}T00:00:00Z"}
    workspace.snapshots.write(f"{day}/a.json", worlds.lines(worlds.reviews(n_users=20)) + b"{}\n" * bad)
    resolved = prepare.resolve_snapshot(workspace, day, datetime.fromisoformat(f"{day}T00:00:00+00:00")).artifact
    downloaded = prepare.download_reviews(workspace, resolved).artifact
    try:
        made = prepare.parse_reviews(workspace, downloaded, ParseConfig()).artifact
    except DataError as error:
        return TaskRecord(**about, state="failed", error=TaskError("DataError", str(error)))
    return TaskRecord(**about, state="success", artifacts={"parse_reviews": made.uri})


@pytest.mark.parametrize(("bad", "state", "n_kept"), [(0, "success", 0), (1, "success", 1), (900, "failed", 900)])
def test_the_lines_that_were_left_out_are_copied_where_there_are_any(workspace, tmp_path, bad, state, n_kept):
    path, record = tmp_path / "run" / "quarantine.jsonl.gz", parsed(workspace, "2018-10-01", bad)
    assert record.state == state
    assert copy_quarantine(workspace, [record], path) == (path if bad else None)
    assert path.exists() is bool(bad)
    rows = gzip.decompress(path.read_bytes()).splitlines() if bad else []
    assert len(rows) == n_kept
    assert all(json.loads(row)["file"] == "a.json" for row in rows)


@pytest.mark.parametrize(
    ("port", "shown"),
    [
        ("abc", "'abc'"),
        ("80", "80"),
        ("99999", "99999"),
        ("-1", "-1"),
        ("9010.0", "'9010.0'"),
        ("9" * 5000, f"{'9' * 40!r}... (5,000 characters)"),
    ],
    ids=lambda text: text[:10],
)
def test_a_port_that_is_none_is_named(port, shown, capsys):
    assert run.main([f"--s3-port={port}"]) == 1
    output = capsys.readouterr().err
    assert f"S3_PORT={shown}: expected a port, a whole number from 1,024 to 65,535" in output


def test_a_conf_is_checked_without_airflow_which_takes_seconds_to_import():
    code = (
        "import sys\n"
        "from include.recommender.errors import ConfigError\n"
        "from local.wanted import read_conf\n"
        "for dag in ('recommender_retrain', 'recommender_tune'):\n"
        "    try:\n"
        "        read_conf('{\"facters\": 8}', dag)\n"
        "    except ConfigError as error:\n"
        "        print(error)\n"
        "print(sorted({'airflow', 'optuna'} & set(sys.modules)))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert output.count("did you mean factors?") == 2
    assert output.splitlines()[-1] == "[]"
