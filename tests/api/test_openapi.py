"""What OpenAPI says is what the API does: requests made from the document get documented answers, and no 5xx."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def started(api, keys):
    return api(keys=keys[0], cache=0, timeout_s=60)


def headers(keys):
    return {"Authorization": f"Bearer {keys[1]}"}


def test_every_route_asks_for_a_key_and_names_its_problems(started, keys):
    found = started.client.get("/openapi.json", headers=headers(keys)).json()
    assert len(found["paths"]) == 11
    for path, methods in found["paths"].items():
        for route in methods.values():
            assert ("security" in route) == (path not in ("/healthz", "/readyz"))
            for status, answer in route["responses"].items():
                assert status.startswith("2") or list(answer["content"]) == ["application/problem+json"]
    parameters = found["paths"]["/v1/users/{user}/recommendations"]["get"]["parameters"]
    filters = ["k", "offset", "exclude", "allow", "variety", "new_share", "new_item_days"]
    assert [each["name"] for each in parameters] == ["user", *filters, "seen"]
    assert all(each["description"] for each in parameters if each["in"] == "query")


def test_an_open_api_asks_for_no_key(api):
    found = api().client.get("/openapi.json").json()
    assert "securitySchemes" not in found["components"]


@pytest.mark.slow
def test_generated_requests_get_documented_answers(started, keys, tmp_path):
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("run", f"{started.client.base_url}/openapi.json", "--header", f"Authorization: Bearer {keys[1]}"),
        *("--max-examples", "15", "--seed", "1", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, "\n".join(line[:300] for line in done.stdout.splitlines())
    assert "Tested: 11" in done.stdout
    statuses = {line["status"] for line in started.lines() if line["route"] != "/readyz"}
    assert {200, 404, 422} <= statuses
    assert max(statuses) < 500
