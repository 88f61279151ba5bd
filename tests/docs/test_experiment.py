"""docs/experiment.ipynb runs: the real API logs, and what is judged is what the two files say."""

import csv
import json
import re
import tempfile
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from include.recommender.api.audience import place_of
from include.recommender.registry.channels import Channels

from ..candidates import JULY, Candidate
from ..conftest import BUCKET, ROOT
from ..frames.test_notebook import headings, run

NOTEBOOK = json.loads((ROOT / "docs" / "experiment.ipynb").read_text())
CELLS = NOTEBOOK["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
TABLES = {"serve", "shown", "split", "users", "difference", "size"}


def committed(cell):
    """The table that a cell shows in the repository."""
    (shown,) = (output for output in cell["outputs"] if output["output_type"] == "execute_result")
    return "".join(shown["data"]["text/html"])


@pytest.fixture
def registry(workspace, s3_endpoint, monkeypatch, tmp_path):
    """Two versions, each on its channel, and the environment that names their root."""
    models = [
        Candidate(workspace, JULY, channel="production").promote(),
        Candidate(workspace, JULY, channel="trial", factors=16).promote(),
    ]
    assert all(models)
    values = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "PYTHONPATH": str(ROOT),
        "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return workspace


@pytest.mark.filterwarnings("error")
def test_every_cell_runs_and_judges_what_the_files_say(registry, capsys):
    names = {}
    shown = {cell["id"]: run("".join(cell["source"]), names) for cell in CODE}
    tables = {cell: value for cell, value in shown.items() if isinstance(value, pd.DataFrame)}
    assert set(tables) == TABLES
    for cell in CODE:
        if cell["id"] in TABLES:
            assert headings(committed(cell)) == [str(name) for name in tables[cell["id"]].columns]

    channels = Channels(registry.root)
    models = {name: channels.read(name).model_id for name in ("production", "trial")}
    assert dict(tables["serve"][["channel", "model_id"]].to_numpy()) == models
    assert len(set(models.values())) == 2
    assert "Traceback" not in (names["FOLDER"] / "server.log").read_text()
    assert "as drawn" in capsys.readouterr().out

    expected = judged(names["LOG"], names["PURCHASES"])
    assert len(expected) == len(names["users"])
    found = {row.user: (row.channel, row.bought) for row in names["judged"].itertuples()}
    assert found == expected
    means = {channel: np.mean([n for served, n in expected.values() if served == channel]) for channel in models}
    row = tables["difference"].loc["bought per user"]
    assert row["difference"] == pytest.approx(means["trial"] - means["production"], abs=1e-4)
    assert row["low"] < row["difference"] < row["high"]


def judged(log, purchases):
    """User -> channel, and items that were bought within 14 days after they were first shown; without SQL."""
    first, channel = {}, {}
    for line in map(json.loads, log.read_text().splitlines()):
        if line.get("user") and line["status"] == 200:
            channel[line["user"]] = line["channel"]
            for item in line["items"]:
                first.setdefault((line["user"], item), datetime.fromisoformat(line["time"]))
    bought = dict.fromkeys(channel, 0)
    with purchases.open() as file:
        pairs = {
            (row["user"], row["item"])
            for row in csv.DictReader(file)
            if timedelta()
            < datetime.fromisoformat(row["time"]) - first.get((row["user"], row["item"]), FAR)
            <= timedelta(days=14)
        }
    for user, _ in pairs:
        bought[user] += 1
    return {user: (channel[user], n) for user, n in bought.items()}


FAR = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def prepared(ids):
    """The names after some cells, without the API."""
    names = {}
    for cell in CODE:
        if cell["id"] in ids:
            run("".join(cell["source"]), names)
    return names


def test_resampled_means_are_spread_as_their_standard_error_says():
    names = {"np": np}
    (source,) = ("".join(cell["source"]) for cell in CODE if cell["id"] == "difference")
    exec(source.split("\n\n\n")[0], names)
    values = np.array([0.0] * 300 + [1.0] * 80 + [2.0] * 20)
    means = names["bootstrapped"](values, np.random.default_rng(0))
    assert means.mean() == pytest.approx(values.mean(), abs=1e-3)
    assert means.std() == pytest.approx(values.std() / np.sqrt(len(values)), rel=0.03)


def test_bulk_lists_count_and_requests_without_a_user_and_rankings_do_not(tmp_path):
    names = prepared({"setup"})
    users = [f"u{n}" for n in range(40)]
    served = {user: "trial" if place_of("factors-128", user) < 0.5 else "production" for user in users}
    lists = [{"channel": served[user], "user": user, "items": ["a", "b"]} for user in users]
    lines = [
        {
            "route": "/v1/recommendations/bulk",
            "lists": [*lists, {"channel": "production", "user": None, "items": ["a"]}],
        },
        {"route": "/v1/rank", "channel": "production", "user": "ranked", "items": ["a"]},
        {"route": "/v1/trending", "channel": "production", "user": None, "items": ["a"]},
        {"route": "/v1/recommendations", "channel": "production", "user": "broken", "items": ["a"], "status": 503},
    ]
    rows = [{"time": "2026-01-01T00:00:00+00:00", "status": 200, **line} for line in lines]
    names["LOG"], names["PURCHASES"] = tmp_path / "log.jsonl", tmp_path / "purchases.csv"
    names["LOG"].write_text("a message of the server\n" + "".join(json.dumps(row) + "\n" for row in rows))
    days = {"a": "2026-01-15T00:00:00+00:00", "b": "2026-01-15T00:00:01+00:00"}
    names["PURCHASES"].write_text("user,item,time\n" + "".join(f"u0,{item},{day}\n" for item, day in days.items()))
    for cell in CODE:
        if cell["id"] in {"shown", "split", "users"}:
            run("".join(cell["source"]), names)
    found = {row.user: (row.channel, row.bought) for row in names["judged"].itertuples()}
    assert found == {user: (served[user], int(user == "u0")) for user in users}


def test_a_broken_split_is_named(tmp_path, capsys):
    names = prepared({"setup"})
    users = [user for user in (f"u{n}" for n in range(2000)) if place_of("factors-128", user) >= 0.5]
    rows = [
        {"time": "2026-01-01T00:00:00+00:00", "route": "/v1/recommendations", "status": 200, "user": user,
         "channel": "production", "items": ["a"]}
        for user in users
    ]  # fmt: skip
    names["LOG"], names["PURCHASES"] = tmp_path / "log.jsonl", tmp_path / "purchases.csv"
    names["LOG"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    names["PURCHASES"].write_text("user,item,time\n")
    for cell in CODE:
        if cell["id"] in {"shown", "split"}:
            run("".join(cell["source"]), names)
    assert capsys.readouterr().out.endswith(": broken\n")


def test_the_outputs_are_those_of_a_run_from_top_to_bottom():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    kinds = {cell["id"]: {output["output_type"] for output in cell["outputs"]} for cell in CODE}
    assert {cell for cell, found in kinds.items() if "execute_result" in found} == TABLES | {"simulate"}


def test_nothing_names_a_machine_and_every_link_leads_somewhere():
    text = "\n".join("".join(cell["source"]) for cell in CELLS)
    assert re.findall(r"/(?:home|root|tmp|Users|work)/", json.dumps(NOTEBOOK)) == []
    headings_of_cells = {line.lstrip("# ") for line in text.splitlines() if line.startswith("#")}
    for target in re.findall(r"\]\((#?[\w/.-]+)\)", text):
        assert target[1:] in headings_of_cells if target[0] == "#" else (ROOT / "docs" / target).is_file()
