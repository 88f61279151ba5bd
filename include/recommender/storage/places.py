"""Where a deployment keeps its objects: RECOMMENDER_ROOT and RECOMMENDER_SNAPSHOTS."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ConfigError
from .uris import split_uri

ROOT, SNAPSHOTS = "RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS"
PREFIX_BYTES = 512  # the keys below a root add up to 500 more
OUR_FOLDERS = frozenset({"artifacts", "models", "channels", "reports", "tuned", "retired", "recommendations"})


def read_places(environment: Mapping[str, str]) -> tuple[str, str]:
    """The root and the place of the snapshots, S3 URIs without a slash at their end. Raises ConfigError."""
    problems: list[str] = []
    root = _location(environment, ROOT, "", problems)
    default = f"{root}/snapshots" if root else ""
    snapshots = _location(environment, SNAPSHOTS, default, problems)
    if root and snapshots:
        problems += _overlap(root, snapshots)
    if problems:
        raise ConfigError(problems)
    return root, snapshots


def _location(environment: Mapping[str, str], name: str, default: str, problems: list[str]) -> str:
    """An S3 URI without a slash at its end, or "" with one more problem."""
    text = environment.get(name, "") or default
    if not text:
        if name == "RECOMMENDER_ROOT":
            problems.append(
                "RECOMMENDER_ROOT is not set in the environment of the Airflow workers: expected s3://bucket or "
                "s3://bucket/prefix, under which artifacts, models, channels and reports are kept"
            )
        return ""
    try:
        bucket, prefix = split_uri(text)
    except ConfigError as error:
        problems += [f"{name}: {problem}" for problem in error.problems]
        return ""
    if len(prefix.encode()) > PREFIX_BYTES:
        problems.append(
            f"{name}: the prefix has {len(prefix.encode())} bytes, expected at most {PREFIX_BYTES}: longer keys are "
            "made below it, and S3 takes 1024 bytes"
        )
        return ""
    return f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"


def _overlap(root: str, snapshots: str) -> list[str]:
    """The problem if one of two places lies within the other."""
    below_root = f"{snapshots}/".removeprefix(f"{root}/") if f"{snapshots}/".startswith(f"{root}/") else ""
    if below_root.split("/")[0] in OUR_FOLDERS:
        return [
            f"RECOMMENDER_SNAPSHOTS={snapshots!r} lies in a folder that this project writes itself "
            f"({', '.join(sorted(OUR_FOLDERS))} below RECOMMENDER_ROOT={root!r}). Name another, or leave it out: then "
            f"it is {root}/snapshots"
        ]
    below_snapshots = root.removeprefix(f"{snapshots}/") if root.startswith(f"{snapshots}/") else ""
    if re.match(r"\d{4}-\d{2}-\d{2}(/|\Z)", below_snapshots):
        return [
            f"RECOMMENDER_ROOT={root!r} lies in a snapshot of RECOMMENDER_SNAPSHOTS={snapshots!r}, so what is written "
            "there would be read as reviews. Name another"
        ]
    return []
