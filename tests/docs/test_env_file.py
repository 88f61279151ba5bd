"""Commands of the pages that take a secret from `.env`, whose values may have quotes, or blanks without quotes."""

import re
import subprocess

import pytest

from ..conftest import ROOT

PAGES = ("docker", "recovery", "doctor")
TAKEN = {
    page: re.findall(
        r"(\w+)=(\"\$\(sed .*? \.env.*?\)\")(?=[`.\s]|$)", (ROOT / f"docs/{page}.md").read_text(), re.MULTILINE
    )
    for page in PAGES
}
NAMES = ("AIRFLOW_ADMIN_PASSWORD", "API_KEY", "OBJECT_STORE_ACCESS_KEY", "OBJECT_STORE_SECRET_KEY", "POSTGRES_PASSWORD")


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("page", PAGES)
def test_a_secret_is_taken_without_its_quotes(tmp_path, page, quote):
    secrets = "".join(f"{name}={quote}of-{name}{quote}\n" for name in NAMES)
    (tmp_path / ".env").write_text(f"RECOMMENDER_SCHEDULE=0 6 * * 1\n{secrets}")
    assert TAKEN[page]
    for _, command in TAKEN[page]:
        name = re.search(r"s/\^(\w+)=", command)[1]
        script = ["bash", "-c", f"A={command}; echo $A"]
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (f"of-{name}\n", "")


@pytest.mark.parametrize("page", PAGES)
def test_no_page_runs_the_file_as_a_script(page):
    assert "./.env" not in (ROOT / f"docs/{page}.md").read_text()
