"""docs/notebook.ipynb runs on a small registry, and shows what today's code returns."""

import ast
import json
import re

import pandas as pd
import pytest

from include.recommender.frames import __all__ as public

from ..candidates import AUGUST, JULY, Candidate
from ..conftest import BUCKET, ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
TEXT = "".join("".join(cell["source"]) for cell in NOTEBOOK["cells"])


@pytest.fixture
def registry(workspace, s3_endpoint, monkeypatch):
    """Two versions that the stages made, and the environment that names their root."""
    for as_of in (JULY, AUGUST):
        Candidate(workspace, as_of).promote()
    values = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "MPLBACKEND": "agg",
        "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def run(source, names):
    """Run a cell; return the value of its last line, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def headings(html):
    """The headings of a table's columns, without those of the index."""
    first = re.search(r"<thead>\s*<tr.*?>(.*?)</tr>", html, flags=re.DOTALL)[1]
    return re.findall(r"<th>(.*?)</th>", first)[1:]


def committed(cell):
    """The table that a cell shows in the repository."""
    return "".join(cell["outputs"][0]["data"]["text/html"])


@pytest.mark.filterwarnings("error")
def test_every_cell_runs_and_shows_a_table_with_rows(registry):
    names = {}
    shown = {cell["id"]: run("".join(cell["source"]), names) for cell in CODE}
    tables = {cell: value for cell, value in shown.items() if isinstance(value, pd.DataFrame)}
    assert set(tables) == {"versions", "evaluation", "slices", "history", "funnel"}
    assert all(len(table) for table in tables.values())
    assert tables["versions"]["model_id"].tolist()[0] == tables["history"]["to_model"].tolist()[-1]
    bars = names["axes"].patches
    assert [bar.get_width() for bar in bars] == names["table"]["recall"].tolist()[::-1]
    for cell in CODE:
        if cell["id"] in tables:
            assert headings(committed(cell)) == [str(name) for name in tables[cell["id"]].columns]


def test_the_outputs_are_those_of_a_run_from_top_to_bottom():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    kinds = {cell["id"]: [output["output_type"] for output in cell["outputs"]] for cell in CODE}
    assert kinds.pop("connect") == []
    assert kinds.pop("plot") == ["display_data"]
    assert set(map(tuple, kinds.values())) == {("execute_result",)}


def test_nothing_names_a_machine():
    assert re.findall(r"/(?:home|root|tmp|Users|work)/", json.dumps(NOTEBOOK)) == []


def test_every_public_function_is_named_and_every_link_leads_somewhere():
    assert [name for name in public if f"{name}(" not in TEXT] == []
    targets = re.findall(r"\]\(([\w/.-]+)\)", TEXT)
    assert targets
    assert [target for target in targets if not (ROOT / "docs" / target).is_file()] == []
