"""Recommendations and histories as DataFrames are those of the library."""

import pytest

from include.recommender.frames import interactions, recommendations
from include.recommender.frames.recommended import EVENTS, LISTS
from include.recommender.serving import Recommender, Request
from include.recommender.serving.history import stored_events

from ..candidates import JULY, Candidate


@pytest.fixture
def registry(workspace):
    Candidate(workspace, JULY).promote()
    return workspace.registry


def test_lists_and_histories_are_those_of_the_library(registry, tmp_path):
    recommender = Recommender.load(registry, cache=tmp_path / "own")
    users = [*recommender.version.users.names([5, 2]), "nobody"]
    table = recommendations(registry, users, k=4, variety=0.2, cache=tmp_path / "own")
    answers = recommender.recommend([Request(user=user, k=4, variety=0.2) for user in users])
    assert list(zip(table["user"], table["rank"], table["item"], table["score"], table["source"], strict=True)) == [
        (user, rank, row.item, row.score, answer.source)
        for user, answer in zip(users, answers, strict=True)
        for rank, row in enumerate(answer.items, 1)
    ]
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        name: str(dtype) for name, dtype in LISTS.items()
    }
    second = recommendations(registry, users[:1], k=2, offset=2, cache=tmp_path / "own")
    assert second["rank"].tolist() == [3, 4]
    seen = interactions(registry, users, cache=tmp_path / "own")
    assert list(zip(seen["user"], seen["item"], seen["time"], strict=True)) == [
        (user, event.item, event.time) for user in users for event in stored_events(recommender.version, user)
    ]
    assert seen["verified"].dtype == "boolean"
    assert (seen["rating"] == 4).all()


def test_no_users_give_an_empty_table_with_the_same_columns(registry, tmp_path):
    for found, columns in (
        (recommendations(registry, [], cache=tmp_path / "own"), LISTS),
        (interactions(registry, ["nobody"], cache=tmp_path / "own"), EVENTS),
    ):
        assert found.empty
        assert {name: str(dtype) for name, dtype in found.dtypes.items()} == {
            name: str(dtype) for name, dtype in columns.items()
        }
