"""Write `.env` on the machine of deploy/aws: `python3 -m deploy.machine_env NAME .env`.

Settings come from the parameter /NAME/settings, which Terraform writes. Secrets come from /NAME/secrets/...; those that
are not there yet are made and stored, so a machine that replaces a lost one has the same. Those of OPTIONAL exist if
a person made them. It needs boto3 alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .make_env import SECRETS, complaints

OPTIONAL = ("RECOMMENDER_NOTIFIERS",)  # tokens may be in it
HEADER = "# Made by deploy.machine_env at each start; change variables of Terraform or parameters of SSM instead.\n"


def settings(ssm: Any, name: str) -> dict[str, str]:
    """Settings of the deployment, variable -> value."""
    answer = ssm.get_parameter(Name=f"/{name}/settings")
    return dict(json.loads(answer["Parameter"]["Value"])["settings"])


def secret(ssm: Any, path: str, make: Callable[[], str]) -> str:
    """The stored secret; a fresh one is stored where there is none."""
    try:
        return _read(ssm, path)
    except ssm.exceptions.ParameterNotFound:
        pass
    try:
        ssm.put_parameter(Name=path, Value=make(), Type="SecureString", Overwrite=False)
    except ssm.exceptions.ParameterAlreadyExists:
        print(f"{path}: another machine made it meanwhile", file=sys.stderr)
    return _read(ssm, path)


def _read(ssm: Any, path: str) -> str:
    return str(ssm.get_parameter(Name=path, WithDecryption=True)["Parameter"]["Value"])


def optional(ssm: Any, path: str) -> str:
    """The stored secret without white space around it; empty where there is none."""
    try:
        return _read(ssm, path).strip()
    except ssm.exceptions.ParameterNotFound:
        return ""


def render(secrets: Mapping[str, str], given: Mapping[str, str]) -> str:
    """The file. Compose expands a dollar sign, except between single quotes. Raises ValueError, without the value."""
    rows = {**given, **secrets}
    if wrong := [name for name, value in rows.items() if set(value) & set("'\r\n")]:
        raise ValueError(f"{', '.join(wrong)}: expected one line without single quotes")
    return HEADER + "".join(f"{name}='{value}'\n" for name, value in rows.items())


def write(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner only."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def make(ssm: Any, name: str, path: Path) -> list[str]:
    """Write the file. Returns what is wrong with it."""
    given = settings(ssm, name)
    secrets = {each: secret(ssm, f"/{name}/secrets/{each}", new) for each, new in SECRETS.items()}
    by_hand = {each: optional(ssm, f"/{name}/secrets/{each}") for each in OPTIONAL}
    write(path, render(secrets | {each: value for each, value in by_hand.items() if value}, given))
    return complaints(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.machine_env", description="Write .env from SSM.")
    parser.add_argument("name", help="of the deployment")
    parser.add_argument("path", type=Path, help="the file")
    asked = parser.parse_args(arguments)
    try:
        wrong = make(boto3.client("ssm"), asked.name, asked.path)
    except (BotoCoreError, ClientError, OSError, ValueError, KeyError) as error:
        wrong = [f"/{asked.name}/: {error}"]
    for problem in wrong:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
