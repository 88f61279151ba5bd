"""Parameters as options of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .definition import Parameter
from .kinds import Flag, Kind


def option(about: Parameter) -> str:
    """The command-line option of a parameter."""
    return f"--{about.name.replace('_', '-')}"


def add_option(parser: argparse.ArgumentParser, about: Parameter, **settings: Any) -> None:
    """Add the option of a parameter; `settings` override the arguments of `add_argument`."""
    settings = {"default": about.default, "help": help_line(about), **settings}
    if isinstance(about.kind, Flag):
        parser.add_argument(option(about), action=argparse.BooleanOptionalAction, **settings)
    else:
        parser.add_argument(option(about), type=_reader(about.kind), **settings)


def help_line(about: Parameter) -> str:
    """The text, the allowed values, and the default."""
    default = "" if about.default is None else f" Default: {about.plain_default}."
    return f"{about.text} Allowed: {about.kind.expected}.{default}".replace("%", "%%")


def _reader(kind: Kind) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind.parse(text)
        problem = kind.problem(value)
        if problem:
            raise argparse.ArgumentTypeError(problem)
        return kind.read(value)

    return read
