"""The GitHub workflow runs what .ci/run does, builds both images, and pins what it uses; scanners find nothing."""

import re
import shlex
import subprocess

import pytest
import yaml

from ..conftest import ROOT

FILE = ROOT / ".github" / "workflows" / "ci.yml"
TEXT = FILE.read_text()
JOBS = yaml.safe_load(TEXT)["jobs"]
TOOLS = ROOT / ".tools" / "bin"
needs_scanners = pytest.mark.skipif(not TOOLS.exists(), reason="NOT TESTED: no scanners here (make lint)")


def steps():
    return [step for job in JOBS.values() for step in job["steps"]]


def test_it_runs_every_command_of_ci_run():
    wanted = set(re.findall(r"^make (\S+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    assert wanted == {"lint", "test", "test-slow"}
    plain = {shlex.split(step["run"])[1] for step in steps() if step.get("run", "").startswith("make ")}
    assert wanted <= (plain - {"$TARGET"}) | set(JOBS["test"]["strategy"]["matrix"]["target"])


def test_it_builds_every_dockerfile_of_the_repository():
    matrix = JOBS["images"]["strategy"]["matrix"]["include"]
    built = {row["file"] for row in matrix}
    tracked = subprocess.run(["git", "ls-files", "*Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert built == {name for name in tracked.stdout.split() if not name.startswith("tests/")}


def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is():
    used = re.findall(r"uses: (.*)$", TEXT, re.MULTILINE)
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used)
    assert len({each.split("@")[0] for each in used}) == len(set(used))  # one version of each


def test_no_job_may_write_keep_the_token_or_run_for_ever():
    assert yaml.safe_load(TEXT)["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} and job["timeout-minutes"] <= 90 for job in JOBS.values())
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(JOBS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert "secrets." not in TEXT


def test_commands_read_values_from_the_environment_not_from_a_template():
    assert not any("${{" in step.get("run", "") for step in steps())


def test_lint_cannot_skip_terraform_which_is_installed_by_its_checksum():
    (install,) = [step for step in JOBS["lint"]["steps"] if "releases.hashicorp.com" in step.get("run", "")]
    (lint,) = [step for step in JOBS["lint"]["steps"] if step.get("run") == "make lint"]
    assert lint["env"] == {"REQUIRE_TERRAFORM": "1"}
    assert "sha256sum --check --strict" in install["run"]
    assert re.fullmatch(r"[0-9a-f]{64}", install["env"]["SHA256"])
    assert subprocess.run(["bash", "-n", "-c", install["run"]], check=False).returncode == 0


@needs_scanners
def test_zizmor_finds_nothing_and_finds_what_is_planted(tmp_path):
    command = [TOOLS / "zizmor", "--offline", "--pedantic", "--quiet"]
    assert subprocess.run([*command, ROOT / ".github"], capture_output=True, check=False).returncode == 0
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    planted = tmp_path / ".github" / "workflows" / "ci.yml"
    planted.write_text(re.sub(r"setup-python@\w+ # ", "setup-python@", TEXT))
    assert subprocess.run([*command, planted], capture_output=True, check=False).returncode != 0


@needs_scanners
def test_hadolint_finds_nothing_and_finds_what_is_planted(tmp_path):
    command = [TOOLS / "hadolint", "--config", ROOT / ".hadolint.yaml"]
    files = [ROOT / row["file"] for row in JOBS["images"]["strategy"]["matrix"]["include"]]
    assert subprocess.run([*command, *files], capture_output=True, check=False).returncode == 0
    (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN cd /tmp && apt-get install nano\n")
    assert subprocess.run([*command, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode != 0
