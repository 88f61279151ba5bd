"""docs/api.md says of the API what the API does: settings, endpoints, metrics, and the shape of every answer."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import Metric

from include.recommender.api.app import create
from include.recommender.api.audience import Audience
from include.recommender.api.metrics import Metrics
from include.recommender.api.service import Service
from include.recommender.api.settings import Settings
from include.recommender.parameters import parameters_of
from include.recommender.parameters.kinds import Flag
from include.recommender.parameters.of_api import ApiConfig
from include.recommender.registry.locate import connect
from include.recommender.serving import Recommender
from include.recommender.serving.live import Live

from .. import ports
from ..candidates import JULY, Candidate
from ..conftest import BUCKET, ROOT

TEXT = (ROOT / "docs" / "api.md").read_text()
README = (ROOT / "README.md").read_text()
CURL = re.compile(r"^    \$ (curl (?:.*\\\n)*.*)\n((?:    .*\n)+)", re.MULTILINE)
EXAMPLES = CURL.findall(TEXT)


def row(parameter):
    """The line of a setting in the table."""
    is_flag = isinstance(parameter.kind, Flag)
    default = {None: "none", True: "`1`", False: "`0`"}.get(parameter.plain_default, f"`{parameter.plain_default}`")
    allowed = "0 or 1" if is_flag else parameter.kind.expected
    return f"| `RECOMMENDER_API_{parameter.name.upper()}` | {default} | {allowed} | {parameter.text} |"


def test_the_table_of_settings_is_that_of_the_code():
    rows = [row(parameter) for parameter in parameters_of(ApiConfig)]
    assert [line for line in TEXT.splitlines() if line.startswith("| `RECOMMENDER_API_")] == rows


def test_the_table_of_endpoints_is_that_of_openapi():
    settings = Settings("s3://reviews/shop", Path("unused"), ApiConfig(open=True))
    edge = create(Service(settings, Audience(Live(None, "production", Path("unused"))), None))
    paths = edge.app.openapi()["paths"]
    known = {f"{method.upper()} {re.sub(':path', '', path)}" for path, methods in paths.items() for method in methods}
    lines = re.findall(r"^\| (`(?:GET|POST) .*?`) \|", TEXT, re.MULTILINE)
    assert {name for line in lines for name in re.findall(r"`(.*?)`", line)} == known | {"GET /openapi.json"}


def families():
    """Names of metrics as a scrape has them."""
    return {_scraped(family) for family in Metrics().registry.collect()}


def _scraped(family: Metric):
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_the_table_of_metrics_is_complete():
    table = TEXT.split("## Metrics and alerts")[1].split("## Access log")[0]
    assert set(re.findall(r"`(recommender_\w+)`", table)) == families()


@pytest.fixture(scope="module")
def free_port():
    """A port that nobody listens on."""
    return ports.free_port()


@pytest.fixture
def known(workspace, s3_endpoint, free_port, tmp_path, monkeypatch):
    """A running API on a small version; the ids of the page -> ids of that version."""
    Candidate(workspace, JULY).promote()
    values = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
        "RECOMMENDER_CACHE": str(tmp_path / "served"),
        "RECOMMENDER_API_OPEN": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    version = Recommender.load(connect(values["RECOMMENDER_ROOT"]), cache=tmp_path / "read").version
    longest = np.argmax(np.diff(version.seen.indptr))
    items = version.items.names(np.arange(len(version.items)))
    pages = dict.fromkeys(re.findall(r"\bGEN\d+", "".join(command for command, _ in EXAMPLES)))
    ids = dict(zip(pages, items, strict=False)) | {"GENERATED001344": version.users.names(longest[None])[0]}
    command = [sys.executable, "-m", "include.recommender.api", "--port", str(free_port)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(free_port)
            yield ids
        finally:
            server.terminate()


def wait_for(port):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(port)


def asked(command, port, ids):
    """The answer to a curl of the page, with other ids."""
    for page, here in ids.items():
        command = command.replace(page, here)
    words = shlex.split(command.replace("\\\n", " "))
    address = next(word for word in words if word.startswith("$API")).replace("$API", f"http://127.0.0.1:{port}")
    body = words[words.index("-d") + 1].encode() if "-d" in words else None
    headers = dict(
        words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H" and "$" not in words[at + 1]
    )
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def shape(value):
    """Names and types; of scores, ids and times only that they are there."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


# The title of a status is that of Python, and 3.13 has other words for some.
FIXED = ("source", "channel", "status", "detail", "errors")


def test_every_curl_is_answered_as_the_page_shows(known, free_port):
    assert len(EXAMPLES) > 12
    for command, shown in EXAMPLES:
        documented, answered = json.loads(shown), asked(command, free_port, known)
        if "reasons" in documented:  # as many as the history has
            documented["reasons"], answered["reasons"] = documented["reasons"][:1], answered["reasons"][:1]
        assert shape(answered) == shape(documented), command
        assert [answered.get(name) for name in FIXED] == [documented.get(name) for name in FIXED], command


def test_the_readme_shows_an_answer_of_the_page():
    (example,) = CURL.findall(README)
    assert shape(json.loads(example[1])) == shape(json.loads(EXAMPLES[0][1]))
