"""The report is there before the model is loaded that makes its lists, whatever becomes of that."""

import json

import pytest

from include.recommender.models import memory
from include.recommender.serving.version import ServedVersion
from include.recommender.stages.run_report import write_report

from ..registry.makers import M1, publish
from ..reporting import runs


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def run_id(workspace):
    """A run that published a version."""
    journal = runs.begin(workspace)
    publish(workspace.registry, M1)
    facts = {"model_id": str(M1), "uri": workspace.root.uri(f"models/{M1}"), "verdict": "PROMOTE"}
    journal.write(runs.record("upload_model", facts=facts))
    return journal.run_id


def read(workspace, run_id):
    folder = f"reports/{run_id}"
    return json.loads(workspace.root.read(f"{folder}/report.json")), workspace.root.read(f"{folder}/report.html")


def test_the_report_shows_lists_of_the_published_version(workspace, run_id):
    write_report(workspace, run_id)
    report, page = read(workspace, run_id)
    assert {row["user"] for row in report["examples"]} == {"a", "c"}
    assert report["unreadable"] == {}
    assert report["examples"][0]["items"][0]["item"].encode() in page


def test_a_kill_while_the_model_is_loaded_leaves_the_report(workspace, run_id, monkeypatch):
    def killed(*_, **__):
        raise Killed

    monkeypatch.setattr(ServedVersion, "load", killed)
    with pytest.raises(Killed):
        write_report(workspace, run_id)
    report, page = read(workspace, run_id)
    assert (report["model"]["model_id"], report["examples"]) == (M1, [])
    assert M1.encode() in page


def test_too_little_memory_for_the_model_is_found_before_it_is_loaded(workspace, run_id, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1)
    monkeypatch.setattr(ServedVersion, "load", lambda *_: pytest.fail("it was loaded"))
    write_report(workspace, run_id)
    report, page = read(workspace, run_id)
    assert report["examples"] == []
    assert "0.00 GB are free" in report["unreadable"]["recommendations"]
    assert b"GB of memory" in page


def test_numpys_own_want_of_memory_costs_only_the_lists(workspace, run_id, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(ServedVersion, "load", full)
    write_report(workspace, run_id)
    assert read(workspace, run_id)[0]["unreadable"] == {"recommendations": "not enough memory"}
