"""Fill in deploy/aws/policies: `python3 -m deploy.policies --help` says how.

Terraform fills in the same files. This is for those who make roles by other means, and for scanners.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "aws"
PATTERNS = {
    "bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "account": r"[0-9]{12}",
    "region": r"[a-z]{2}(-[a-z]+)+-[0-9]",
}
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """A file's text with its placeholders replaced. Raises ValueError where a value is missing or breaks the JSON."""
    try:
        filled = PLACEHOLDER.sub(lambda found: values[found[1]], text)
    except KeyError as error:
        raise ValueError(f"there is no value for ${{{error.args[0]}}}") from None
    json.loads(filled)
    return filled


def files() -> list[Path]:
    """All policies, and the rules of the bucket's lifecycle."""
    return [*sorted((FOLDER / "policies").glob("*.json")), FOLDER / "lifecycle.json"]


def values_of(asked: argparse.Namespace) -> dict[str, str]:
    """Placeholder -> value, of the command line."""
    prefix = asked.prefix.strip("/")
    return {
        "account": asked.account,
        "bucket": asked.bucket,
        "kms_key": asked.kms_key,
        "name": asked.name,
        "prefix": f"{prefix}/" if prefix else "",
        "region": asked.region,
    }


def _check(asked: argparse.Namespace) -> None:
    """Raise ValueError where a value is none that AWS has."""
    for name, pattern in PATTERNS.items():
        if not re.fullmatch(pattern, getattr(asked, name)):
            raise ValueError(f"--{name} {getattr(asked, name)!r}: expected {pattern}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.policies", description="Fill in the IAM policies.")
    parser.add_argument("directory", type=Path, help="where the filled-in files are written")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", default="", help="of the root in the bucket; default: the whole bucket")
    parser.add_argument("--name", default="recommender", help="of the deployment; default: %(default)s")
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True, help="12 digits")
    parser.add_argument("--kms-key", default="KMS_KEY_ARN", help="its ARN, for encryption.json; default: %(default)s")
    asked = parser.parse_args(arguments)
    try:
        _check(asked)
        asked.directory.mkdir(parents=True, exist_ok=True)
        for path in files():
            (asked.directory / path.name).write_text(fill(path.read_text(), values_of(asked)))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(files())} files in {asked.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
