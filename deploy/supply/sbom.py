"""A software bill of materials of each image, in CycloneDX JSON: `make sbom` writes dist/sbom-<image>.json.

It lists the locked Python packages, their licences, and which needs which. The base image's own packages are not in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName

from .images import IMAGES, PROJECT, direct, graph
from .licences import Rules, licence

SPECIFICATION = "1.6"
# Runs in the scanners' environment: the library holds the schema.
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.from_version(sys.argv[1])).validate_str(sys.stdin.read())
sys.exit(str(error) if error else None)
"""


def bill(image: str, project: Path = PROJECT) -> dict[str, Any]:
    """The document of an image."""
    needs = graph(image, project)
    refs = {name: f"pkg:pypi/{name}@{metadata(name)['Version']}" for name in needs}
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    root = f"recommender-{image}@{about['version']}"
    rules = Rules.read()
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "container",
                "bom-ref": root,
                "name": f"recommender-{image}",
                "version": about["version"],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [_component(name, refs[name], rules) for name in sorted(needs)],
        "dependencies": [
            _edge(root, {refs[one.name] for one in direct(image, project)}),
            *(_edge(refs[name], {refs[each] for each in needs[name]}) for name in sorted(needs)),
        ],
    }


def _component(name: NormalizedName, ref: str, rules: Rules) -> dict[str, Any]:
    about = metadata(name)
    text = licence(about, rules)
    is_expression = rules.allows(text)
    return {
        "type": "library",
        "bom-ref": ref,
        "name": name,
        "version": about["Version"],
        "purl": ref,
        "licenses": [{"expression": text} if is_expression else {"license": {"name": text}}],
    }


def _edge(ref: str, needed: Iterable[str]) -> dict[str, Any]:
    return {"ref": ref, "dependsOn": sorted(needed)}


def validate(text: str, python: Path) -> None:
    """Raise ValueError where a document does not follow the schema of CycloneDX; `python` is that of the scanners."""
    command: list[str | Path] = [python, "-c", VALIDATE, SPECIFICATION]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603 our own code
    if done.returncode:
        raise ValueError(f"not a CycloneDX document: {done.stderr.strip()[-2000:]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.sbom", description=__doc__)
    parser.add_argument("--to", type=Path, default=PROJECT / "dist", help="folder for the files (%(default)s)")
    parser.add_argument("--python", type=Path, default=PROJECT / ".tools" / "bin" / "python", help="of the scanners")
    given = parser.parse_args(arguments)
    given.to.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        document = bill(image)
        text = json.dumps(document, indent=2) + "\n"
        validate(text, given.python)
        path = given.to / f"sbom-{image}.json"
        path.write_text(text)
        print(f"{path}: {len(document['components'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
