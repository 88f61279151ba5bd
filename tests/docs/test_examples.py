"""The Python of README and of docs/recommendations.md runs as it stands there."""

import re

import pytest

from ..candidates import JULY, Candidate
from ..conftest import ROOT

PAGES = ("README.md", "docs/recommendations.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page, workspace, s3_endpoint, monkeypatch, tmp_path, capsys):
    made = Candidate(workspace, JULY)
    made.promote()
    values = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "RECOMMENDER_ROOT": "s3://reviews/shop",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    names = {}
    exec(code.replace("s3://my-bucket/recommender", "s3://reviews/shop").replace("B00007E7JU", "0000000005"), names)
    assert names["recommender"].version.manifest.model_id == made.model_id
    if page == "README.md":
        assert re.search(r"^prior \[\('", capsys.readouterr().out)
    else:
        assert [answer.source for answer in names["lists"]] == ["prior", "fold_in"]
        assert names["reasons"] == ()
