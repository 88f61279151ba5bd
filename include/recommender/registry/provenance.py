"""The versions of code and libraries that made a model."""

from __future__ import annotations

from importlib.metadata import version

from .code import code_of_stages

LIBRARIES = ("implicit", "numpy", "scipy", "pyarrow", "boto3")


def code_version() -> str:
    """The first 12 hexadecimal digits of the digest of the code of all stages."""
    return code_of_stages()[:12]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape a model's numbers and files."""
    return {name: version(name) for name in LIBRARIES}
