"""Folders of reports: one a run, whatever its id."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.recommender.runs.dag_names import RETRAIN_DAG, TUNE_DAG
from include.recommender.runs.journal import folder_id, run_name

ALIKE = [
    "a b",
    "a_b",
    "a:b",
    "a+b",
    "A_b",
    "a_B",
    "a/b",
    "a_b\n",
    "a\x1bb",
    "",
    ".",
    "..",
    "../a",
    "é",
    "e\u0301",
    "a" * 300,
    "a" * 301,
]


@pytest.mark.parametrize("run_id", ["r1", "nightly-2018.10_01", "0"])
def test_a_plain_id_is_its_own_name(run_id):
    assert run_name(run_id) == run_id


def test_a_changed_id_stays_readable():
    assert run_name("manual__2018-10-01T00:00:00+00:00").startswith("manual__2018-10-01T00_00_00_00_00~")


def test_ids_that_look_alike_have_folders_of_their_own():
    names = {run_id: run_name(run_id) for run_id in [*ALIKE, run_name("a:b"), run_name("a b")]}
    for one, other in combinations(names, 2):
        assert names[one].lower() != names[other].lower(), (one, other)


IDS = st.text(st.sampled_from("aA_:+./~-1 \n\x1bé"), max_size=8)


@given(IDS, IDS)
def test_ids_that_differ_have_folders_that_differ(one, other):
    assert (run_name(one).lower() == run_name(other).lower()) == (one == other)


@given(IDS | st.text(max_size=400))
def test_a_folder_is_one_plain_name(run_id):
    name = run_name(run_id)
    assert 0 < len(name.encode()) <= 200
    assert name.isascii()
    assert name.isprintable()
    assert "/" not in name
    assert not name.startswith(".")


@given(st.sampled_from([RETRAIN_DAG, TUNE_DAG]), IDS, st.sampled_from([RETRAIN_DAG, TUNE_DAG]), IDS)
def test_runs_of_two_dags_never_share_a_folder(dag, run_id, other_dag, other_id):
    for one in (run_id, f"recommender_tune__{run_id}", f"{RETRAIN_DAG}__{run_id}"):
        same = (dag, one) == (other_dag, other_id)
        assert (folder_id(dag, one) == folder_id(other_dag, other_id)) == same
