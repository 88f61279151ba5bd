"""The names that notebooks may use, and what their docstrings promise."""

import inspect
import os
import re
import subprocess
import sys
import typing

import pandas as pd
import pytest

from include.recommender import frames
from include.recommender.errors import ConfigError
from include.recommender.frames import groups, judged, overview, recommended, search_trials, timeline
from include.recommender.frames.data_steps import FUNNEL
from include.recommender.registry.registry import Registry

from ..conftest import ROOT

NAMES = [
    "compare",
    "connect",
    "data_funnel",
    "evaluation",
    "history",
    "interactions",
    "recommendations",
    "slices",
    "trend",
    "trials",
    "verdict",
    "versions",
]
COLUMNS = {
    "compare": overview.COMPARISON,
    "data_funnel": FUNNEL,
    "evaluation": judged.EVALUATION,
    "history": timeline.HISTORY,
    "interactions": recommended.EVENTS,
    "recommendations": recommended.LISTS,
    "slices": groups.SLICES,
    "trend": timeline.TREND,
    "trials": search_trials.TRIALS,
    "verdict": judged.VERDICT,
    "versions": overview.VERSIONS,
}


def test_the_public_names():
    assert sorted(frames.__all__) == NAMES
    assert set(COLUMNS) == set(NAMES) - {"connect"}


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_typed_and_has_an_example(name):
    function = getattr(frames, name)
    hints = typing.get_type_hints(function)
    assert hints["return"] is (Registry if name == "connect" else pd.DataFrame)
    assert set(inspect.signature(function).parameters) <= set(hints)
    assert f">>> {'registry = ' * (name == 'connect')}" in function.__doc__.partition("Examples")[2]


@pytest.mark.parametrize("name", COLUMNS)
def test_the_docstring_names_every_column(name):
    output = getattr(frames, name).__doc__.partition("Returns")[2].partition("Raises")[0]
    listed = re.findall(r"^    - ([\w, ]+) :", output, flags=re.MULTILINE)
    columns = [column for line in listed for column in line.split(", ")]
    assert set(COLUMNS[name]) <= set(columns)
    assert len(columns) == len(set(columns))


def test_connect_takes_the_root_from_the_environment_unless_it_is_given(monkeypatch, s3, s3_endpoint):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("RECOMMENDER_ROOT", raising=False)
    with pytest.raises(ConfigError, match=r"RECOMMENDER_ROOT.*s3://bucket/prefix"):
        frames.connect()
    monkeypatch.setenv("RECOMMENDER_ROOT", "s3://reviews/shop")
    assert len(frames.versions(frames.connect(endpoint_url=s3_endpoint))) == 0
    assert frames.connect("s3://reviews/other", s3_endpoint).objects.uri("x") == "s3://reviews/other/x"


@pytest.mark.parametrize("room", ["stages", "tuning", "console"])
def test_what_tasks_and_commands_import_does_not_import_pandas(room):
    """pyarrow imports pandas, where it is installed, as soon as it converts a Python value."""
    paths = (ROOT / "include" / "recommender" / room).glob("[a-z]*.py")
    names = [f"include.recommender.{room}.{path.stem}" for path in paths]
    code = f"import sys, {', '.join(names)}; print([n for n in sys.modules if n == 'pandas' or '.frames' in n])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert len(names) > 2
    assert done.stdout == "[]\n"
