"""What made a model: the code and the libraries."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("implicit", "numpy", "scipy", "pyarrow", "boto3")


@cache
def code_version() -> str:
    """The first 12 hexadecimal digits of the SHA-256 over all sources of the library, by path."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape a model's numbers and files."""
    return {name: version(name) for name in LIBRARIES}
