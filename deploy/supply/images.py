"""What each image holds: the packages of its requirements, and all that these need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
# Image -> its requirements, below the project.
IMAGES = {"airflow": "deploy/requirements.txt", "api": "deploy/api/requirements.txt"}
# The images' platform, which is not always that of the machine that asks.
TARGET = {
    "python_version": "3.12",
    "python_full_version": "3.12.13",
    "implementation_version": "3.12.13",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
}


@dataclass(frozen=True)
class Wanted:
    """A package, and the extras of it that are asked for."""

    name: NormalizedName
    extras: frozenset[str]


class NotInstalled(LookupError):
    """A package of an image is not in this environment, so nothing is known about it."""


def graph(image: str, project: Path = PROJECT) -> dict[NormalizedName, set[NormalizedName]]:
    """Every package of an image -> the packages that it needs itself.

    Raises
    ------
    NotInstalled
        One of them is not in this environment.
    """
    waiting = direct(image, project)
    done: dict[Wanted, list[Wanted]] = {}
    while waiting:
        one = waiting.pop()
        if one not in done:
            done[one] = list(_needs(one))
            waiting.extend(done[one])
    found: dict[NormalizedName, set[NormalizedName]] = {one.name: set() for one in done}
    for one, needed in done.items():
        found[one.name] |= {each.name for each in needed} - {one.name}
    return found


def direct(image: str, project: Path = PROJECT) -> list[Wanted]:
    """What the requirements of an image name themselves."""
    return [_wanted(each) for each in requirements(project / IMAGES[image]) if _applies(each, frozenset())]


def requirements(path: Path) -> Iterator[Requirement]:
    """The lines of a file of requirements, and of the files that it includes."""
    for line in path.read_text().splitlines():
        text = line.partition(" #")[0].strip()
        if text.startswith("-r "):
            yield from requirements(path.parent / text.removeprefix("-r ").strip())
        elif text and not text.startswith("#"):
            yield Requirement(text)


def _needs(one: Wanted) -> Iterator[Wanted]:
    try:
        found = distribution(one.name).requires or []
    except PackageNotFoundError:
        raise NotInstalled(f"{one.name} belongs to an image, and is not installed here: make setup") from None
    for text in found:
        needed = Requirement(text)
        if _applies(needed, one.extras):
            yield _wanted(needed)


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate(_environment(extra)) for extra in (extras or {""}))


def _environment(extra: str) -> Mapping[str, str]:
    return {**{name: str(value) for name, value in default_environment().items()}, **TARGET, "extra": extra}


def _wanted(requirement: Requirement) -> Wanted:
    return Wanted(canonicalize_name(requirement.name), frozenset(requirement.extras))
