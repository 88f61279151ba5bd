"""deploy/aws/check.sh, the part of `make lint` about Terraform, and the filling in of policies."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import policies

from .terraform import ROOT

OURS = ["--bucket", "shop", "--region", "eu-west-1", "--account", "123456789012"]
TOOLS = ROOT / ".tools" / "bin"


def test_filled_in_files_name_the_bucket(tmp_path, capsys):
    assert policies.main([str(tmp_path), *OURS, "--prefix", "/a/b/"]) == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {path.name for path in policies.files()}
    dag = json.loads((tmp_path / "dag.json").read_text())["Statement"]
    assert "arn:aws:s3:::shop/a/b/models/*" in dag[1]["Resource"]
    rules = json.loads((tmp_path / "lifecycle.json").read_text())["Rules"]
    assert rules[0]["Filter"]["Prefix"] == "a/b/channels/.probe-"


def test_the_root_may_be_the_bucket_itself(tmp_path):
    policies.main([str(tmp_path), *OURS])
    assert "arn:aws:s3:::shop/models/*" in (tmp_path / "api.json").read_text()


@pytest.mark.parametrize(("name", "value"), [("bucket", "BAD_Bucket"), ("account", "12"), ("region", "Ireland")])
def test_a_value_that_aws_does_not_have_is_named_and_nothing_is_written(tmp_path, capsys, name, value):
    given = [*OURS, f"--{name}", value]
    assert policies.main([str(tmp_path / "made"), *given]) == 1
    assert f"--{name} '{value}': expected" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_a_placeholder_without_a_value_is_named():
    with pytest.raises(ValueError, match="no value for \\$\\{misspelt\\}"):
        policies.fill('{"a": "${misspelt}"}', {"bucket": "a"})


@pytest.mark.slow
@pytest.mark.skipif(not TOOLS.exists(), reason="NOT TESTED: deploy/aws/check.sh: the scanners are not installed")
def test_the_check_says_loudly_what_it_cannot_check(tmp_path):
    names = (
        "bash",
        "cat",
        "cp",
        "dirname",
        "basename",
        "find",
        "grep",
        "mkdir",
        "mktemp",
        "rm",
        "wc",
        "python3",
        "env",
    )
    for name in names:
        (tmp_path / name).symlink_to(shutil.which(name))
    process = subprocess.run(
        [str(ROOT / "deploy/aws/check.sh"), str(TOOLS), str(ROOT / ".venv/bin")],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "NOT CHECKED: deploy/aws was not validated by Terraform: there is no terraform on the PATH" in process.stderr
    assert "Failed checks: 0" in process.stdout
    assert "cloudsplaining: no issue in" in process.stdout


@pytest.mark.slow
@pytest.mark.skipif(not TOOLS.exists(), reason="NOT TESTED: deploy/aws/check.sh: the scanners are not installed")
def test_a_policy_that_grants_too_much_fails_the_check(tmp_path):
    copy = tmp_path / "project"
    (copy / "deploy").mkdir(parents=True)
    for name in ("__init__.py", "policies.py"):
        shutil.copy(ROOT / "deploy" / name, copy / "deploy" / name)
    shutil.copytree(ROOT / "deploy/aws", copy / "deploy/aws", ignore=shutil.ignore_patterns(".terraform*"))
    path = copy / "deploy/aws/policies/dag.json"
    wide = {"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [wide]}))
    process = subprocess.run(
        [str(copy / "deploy/aws/check.sh"), str(TOOLS), str(ROOT / ".venv/bin")],
        env={**os.environ, "PATH": os.pathsep.join(_without_terraform())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "cloudsplaining: dag.json" in process.stderr


NO_FINDING = "echo 'There were no results found.'"


def checked(tmp_path, scan, **variables):
    """check.sh without Terraform, with a checkov that finds nothing and a cloudsplaining that runs a command."""
    for name, command in {"checkov": "true", "cloudsplaining": scan}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / name).chmod(0o755)
    return subprocess.run(
        [str(ROOT / "deploy/aws/check.sh"), str(tmp_path), str(ROOT / ".venv/bin")],
        env={**os.environ, "PATH": os.pathsep.join(_without_terraform()), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("scan", ["echo Traceback >&2; exit 1", f"{NO_FINDING}; exit 3", "true", "echo 'Issue found'"])
def test_a_scanner_that_does_not_say_that_it_found_nothing_fails_the_check(tmp_path, scan):
    process = checked(tmp_path, scan)
    assert process.returncode == 1
    assert "cloudsplaining: api.json" in process.stderr


def test_where_terraform_is_required_its_absence_fails_the_check(tmp_path):
    assert checked(tmp_path, NO_FINDING, REQUIRE_TERRAFORM="0").returncode == 0
    process = checked(tmp_path, NO_FINDING, REQUIRE_TERRAFORM="1")
    assert process.returncode == 1
    assert "NOT CHECKED: deploy/aws was not validated by Terraform" in process.stderr


def _without_terraform():
    return [each for each in os.environ["PATH"].split(os.pathsep) if not (Path(each) / "terraform").exists()]
