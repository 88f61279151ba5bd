"""Terraform on a copy of deploy/aws, against a local AWS."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.aws_provider import cli_configuration, configured

ROOT = Path(__file__).parents[2]
AMI = "ami-12c6146b"  # one of those that moto has
OVERRIDE = 'provider "aws" {\n  s3_use_path_style = true\n  max_retries       = 2\n}\n'
REQUIRED = {
    "ami_id": AMI,
    "bucket": "shop-recommender",
    "repository_url": "https://github.com/example/recommender",
    "release_ref": "v0.1.0",
    "release_commit": "0123456789abcdef" * 2 + "01234567",
}


@dataclass(frozen=True)
class Terraform:
    """A working directory, and the environment of its commands."""

    directory: Path
    environment: dict[str, str]

    def run(self, *arguments, **variables):
        """A command with variables; return the ended process."""
        given = [f"-var={name}={_value(value)}" for name, value in variables.items()]
        command = ["terraform", f"-chdir={self.directory}", *arguments, *given]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, errors="replace", check=False, timeout=900
        )

    def done(self, *arguments, **variables):
        """The same, which has to succeed."""
        process = self.run(*arguments, **variables)
        assert process.returncode == 0, process.stdout[-6000:] + process.stderr[-6000:]
        return process

    def shown(self):
        """The state: address of a resource -> its values, and name of an output -> its value."""
        values = json.loads(self.done("show", "-json").stdout)["values"]
        resources = {row["address"]: row["values"] for row in values["root_module"]["resources"]}
        return resources, {name: row.get("value") for name, row in values["outputs"].items()}


def _value(value):
    return value if isinstance(value, str) else json.dumps(value)


def prepared(directory, endpoint):
    """A copy of deploy/aws that was initialised; the test is skipped, loudly, where that cannot be done."""
    if shutil.which("terraform") is None:
        _skip("there is no terraform on the PATH")
    shutil.copytree(
        ROOT / "deploy" / "aws", directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*")
    )
    (directory / "override.tf").write_text(OVERRIDE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_"))}
    aws = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    if not configured() and (text := cli_configuration()):
        aws["TF_CLI_CONFIG_FILE"] = str(directory / "terraformrc")
        (directory / "terraformrc").write_text(text)
    terraform = Terraform(directory, {**kept, **aws, "AWS_EC2_METADATA_DISABLED": "true", "CHECKPOINT_DISABLE": "1"})
    process = terraform.run("init", "-input=false", "-no-color")
    if process.returncode != 0:
        _skip(f"terraform init cannot get the provider: {process.stderr.strip()[-300:]}")
    return terraform


def _skip(reason):
    reason = f"NOT TESTED: deploy/aws was not applied: {reason}"
    print(reason, file=sys.__stderr__, flush=True)
    pytest.skip(reason)


@contextmanager
def local_aws(log):
    """The address of a local AWS in a process of its own."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.deploy.local_aws"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
