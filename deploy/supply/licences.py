"""Checks the licences of the images' packages against deploy/supply/licences.toml. `make lint` runs it.

python -m deploy.supply.licences            # quiet where all is well
python -m deploy.supply.licences --list     # each package and its licence
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path
from typing import Any

from .images import IMAGES, graph

RULES = Path(__file__).with_name("licences.toml")
CLASSIFIER = re.compile(r"License :: (?:.* :: )?(.+)")
MOST_CHARS = 60  # a longer text is the licence itself, not its name


@dataclass(frozen=True)
class Rules:
    """The file: allowed identifiers, names -> identifier, package -> its exception."""

    allowed: frozenset[str]
    names: Mapping[str, str]
    exceptions: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, path: Path = RULES) -> Rules:
        """Raise ValueError where an exception gives no reason."""
        given: dict[str, Any] = tomllib.loads(path.read_text())
        for name, exception in given["exceptions"].items():
            if set(exception) != {"licence", "reason"} or not all(exception.values()):
                raise ValueError(f"{path.name}: the exception for {name} needs a licence and a reason")
        return cls(frozenset(given["allowed"]), given["names"], given["exceptions"])

    def allows(self, licence: str) -> bool:
        """Whether each part of an SPDX expression is allowed; of plain alternatives one is enough."""
        parts = [part.strip(" ()") for part in re.split(r" AND | OR ", licence)]
        plain = " AND " not in licence and "(" not in licence
        return (any if plain else all)(part in self.allowed for part in parts)

    def identifier(self, name: str) -> str:
        """The SPDX identifier of a name, or the name as it is."""
        return self.names.get(name, name)


def licence(about: PackageMetadata, rules: Rules) -> str:
    """What a package says of its licence: the expression, else a name that the rules know, else its classifiers."""
    expression, name = _field(about, "License-Expression"), _field(about, "License")
    if expression or rules.allows(rules.identifier(name)):
        return expression or rules.identifier(name)
    matches = [CLASSIFIER.fullmatch(line) for line in about.get_all("Classifier") or []]
    classified = [rules.identifier(match[1]) for match in matches if match]
    if classified:
        return (" AND " if all(rules.allows(each) for each in classified) else "; ").join(classified)
    return name if 0 < len(name) <= MOST_CHARS and "\n" not in name else "unknown"


def _field(about: PackageMetadata, name: str) -> str:
    values = about.get_all(name)
    return str(values[0]).strip() if values else ""


def problems(found: Mapping[str, str], rules: Rules) -> list[str]:
    """What is wrong with the licences of packages, and which exceptions nobody needs any more."""
    refused = {name: text for name, text in found.items() if not rules.allows(text)}
    excused = {name for name in refused if rules.exceptions.get(name, {}).get("licence") == refused[name]}
    lines = [f"{name}: {text!r} is not allowed" for name, text in refused.items() if name not in excused]
    idle = sorted(rules.exceptions.keys() - excused)
    return lines + [f"{name}: its exception is not needed, or is for another licence" for name in idle]


def licences(rules: Rules) -> dict[str, str]:
    """Package -> licence, of all images."""
    names = sorted({name for image in IMAGES for name in graph(image)})
    return {name: licence(metadata(name), rules) for name in names}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 where a licence is not allowed."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.licences", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print each package and its licence")
    listed = parser.parse_args(arguments).list
    rules = Rules.read()
    found = licences(rules)
    if listed:
        print("\n".join(f"{name:40} {text}" for name, text in found.items()))
    wrong = problems(found, rules)
    for line in wrong:
        print(f"licence: {line}. Allowed are those of {RULES.name}, and its exceptions with a reason", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
