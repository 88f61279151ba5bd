"""Recommendations on the command line, from a version that the stages made."""

import json

import numpy as np
import pytest

from include.recommender.console.cli import main
from include.recommender.serving import Recommender, Request

from ..candidates import JULY, Candidate


@pytest.fixture
def candidate(workspace, s3_endpoint, monkeypatch, tmp_path):
    values = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "RECOMMENDER_ROOT": "s3://reviews/shop",
        "RECOMMENDER_CACHE": str(tmp_path / "own"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    made = Candidate(workspace, JULY)
    made.promote()
    return made


@pytest.fixture
def ask(capsys):
    """Run a command; return status, stdout, stderr."""

    def one(*argv):
        status = main(argv)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return one


def test_lists_of_the_command_line_are_those_of_the_library(workspace, candidate, ask, tmp_path):
    recommender = Recommender.load(workspace.registry, cache=tmp_path / "mine")
    user = recommender.version.users.names([3])[0]
    (expected,) = recommender.recommend([Request(user=user, k=7)])

    status, out, _ = ask("recommend", user, "--k", "7", "--why", "--json")
    body = json.loads(out)
    assert (status, body["model_id"], body["source"]) == (0, candidate.model_id, "known_user")
    assert [(row["item"], row["score"]) for row in body["items"]] == [(row.item, row.score) for row in expected.items]
    for row in body["items"]:
        assert sum(part["part"] for part in body["why"][row["item"]]) == pytest.approx(row["score"], rel=1e-4)
        assert {part["item"] for part in body["why"][row["item"]]} == set(body["history"])
    assert not {row["item"] for row in body["items"]} & set(body["history"])

    status, out, _ = ask("recommend", user, "--k", "7", "--why")
    assert status == 0
    assert "from the stored history" in out
    assert f"history, newest first: {body['history'][0]}" in out
    rows = out.splitlines()[-7:]
    assert [row.split()[1] for row in rows] == [row.item for row in expected.items]
    assert all("%" in row for row in rows)

    left_out, other = expected.items[0].item, expected.items[1].item
    _, out, _ = ask("recommend", user, "--exclude", left_out, "--k", "1", "--json")
    assert [row["item"] for row in json.loads(out)["items"]] == [other]
    _, out, _ = ask("recommend", user, "--allow", f"{other},unknown", "--json")
    assert [row["item"] for row in json.loads(out)["items"]] == [other]


def test_new_items_have_a_share_on_request(workspace, candidate, ask, tmp_path):
    recommender = Recommender.load(workspace.registry, cache=tmp_path / "mine")
    user = recommender.version.users.names([3])[0]
    ages_s = recommender.version.manifest.published_split_s - recommender.version.first_times
    days = str(int(np.quantile(ages_s, 0.1) / 86_400) + 1)
    request = Request(user=user, k=6, new_share=0.5, new_item_days=int(days))
    (plain,), (expected,) = recommender.recommend([Request(user=user, k=6)]), recommender.recommend([request])
    assert expected != plain
    status, out, _ = ask("recommend", user, "--k", "6", "--new-share", "0.5", "--new-item-days", days, "--json")
    assert status == 0
    found = [(row["item"], row["score"]) for row in json.loads(out)["items"]]
    assert found == [(row.item, row.score) for row in expected.items]
    first = dict(zip(recommender.version.items.ids.to_pylist(), ages_s, strict=True))
    new = [first[item] <= int(days) * 86_400 for item, _ in found]
    assert [row["new"] for row in json.loads(out)["items"]] == new
    assert 3 <= sum(new) < 6
    _, out, _ = ask("recommend", user, "--k", "6", "--new-share", "0.5", "--new-item-days", days)
    assert [row.endswith("new") for row in out.splitlines()[-6:]] == new
    n_new = sum(age <= int(days) * 86_400 for age in first.values())
    assert f"new: {sum(new)} of these; {n_new} of all items were first seen in the {days} days before 20" in out
    assert "NEW" not in ask("recommend", user)[1]


def test_items_just_seen_need_no_user_and_unknown_ones_are_named(candidate, ask):
    status, out, _ = ask("recommend", "--items", "0000000005,unknown", "--k", "3")
    assert status == 0
    assert "from the items given" in out
    assert "not known to this version: unknown" in out
    assert "0000000005" not in out.splitlines()[-1]
    status, out, _ = ask("recommend", "nobody")
    assert status == 0
    assert "nothing is known of this user" in out
    assert ask("trending", "--json")[1].count("score") == 10
    assert [row["item"] for row in json.loads(ask("recommend", "nobody", "--json")[1])["items"]] == [
        row["item"] for row in json.loads(ask("trending", "--json")[1])["items"]
    ]


def test_similar_items(candidate, ask):
    status, out, _ = ask("similar", "0000000005", "--k", "4")
    assert (status, len(out.splitlines())) == (0, 6)
    status, _, err = ask("similar", "unknown")
    assert status == 1
    assert "'unknown'" in err
    assert candidate.model_id in err


REFUSED = {
    "recommend U1 --k 0": "k=0: expected 1 to 1000",
    "recommend U1 --variety 2": "variety=2",
    "recommend U1 --new-share 2": "new_share=2: expected 0 to 1",
    "recommend U1 --new-item-days 0": "new_item_days=0: expected 1 to 36,500",
    "recommend U1 --model none": "no channel none",
    "recommend": "Name a user, or items that were just seen",
    "trending --k 1001": "k=1001",
    "similar 0000000005 --k 0": "k=0",
}


def test_what_cannot_be_asked_is_an_error_of_one_line(candidate, ask):
    for words, expected in REFUSED.items():
        status, out, err = ask(*words.split())
        assert (status, out) == (1, ""), words
        assert expected in err, words
        assert len(err.splitlines()) == 1, words
