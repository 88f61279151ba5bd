"""Commands and the arguments that several of them share."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..parameters import REGISTRY
from ..parameters.of_registry import WHO_CHARS
from ..parameters.options import add_option
from ..registry.locate import connect
from ..registry.moves import COMMAND
from ..registry.registry import Registry
from .commands import Answer

Command = Callable[[Registry, argparse.Namespace], Answer]
Alone = Callable[[argparse.Namespace], Answer]


@dataclass(frozen=True)
class Typed:
    """How a person types the registry's commands here; `{}` in the template is replaced by the words."""

    template: str = f"{COMMAND} {{}}"

    def __call__(self, words: str) -> str:
        return self.template.replace("{}", words)

    def in_text(self, text: str) -> str:
        """A message with the commands that it names, each at the end of a line, as they are typed here."""
        return re.sub(rf"{re.escape(COMMAND)} ([^\n]+)", lambda found: self(found[1]), text)


def examples(typed: Typed, words: Sequence[str]) -> str:
    return "\n".join(["examples:", *(f"  {typed(each)}" for each in words)])


def shared(root: str | None, endpoint_url: str | None, as_json: bool | str) -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    group = shared.add_argument_group("everywhere")
    group.add_argument("--root", default=root, metavar="URI", help="s3://bucket/prefix (default: RECOMMENDER_ROOT)")
    group.add_argument(
        "--endpoint-url",
        default=endpoint_url,
        metavar="URL",
        help="of an S3-compatible store (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon)",
    )
    group.add_argument("--json", action="store_true", default=as_json, help="answer in JSON")
    return shared


class Adder:
    """Adds commands, with the arguments that several of them share.

    parsers, examples : of each command, by its name
    """

    def __init__(self, commands: argparse._SubParsersAction[argparse.ArgumentParser], typed: Typed) -> None:
        self.commands, self.typed = commands, typed
        self.shared = shared(argparse.SUPPRESS, argparse.SUPPRESS, argparse.SUPPRESS)
        self.parser: argparse.ArgumentParser
        self.parsers: dict[str, argparse.ArgumentParser] = {}
        self.examples: dict[str, str] = {}

    def __call__(self, name: str, command: Command, text: str, *typed: str) -> Adder:
        """A command on the registry of `--root`."""
        return self.alone(name, lambda args: command(connect(args.root, args.endpoint_url), args), text, *typed)

    def alone(self, name: str, run: Alone, text: str, *typed: str) -> Adder:
        """A command that connects by itself, so that it can report why it cannot."""
        self.parser = self.commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=examples(self.typed, typed),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[self.shared],
        )
        self.parser.set_defaults(run=run)
        self.parsers[name], self.examples[name] = self.parser, typed[0]
        return self

    def model(self) -> Adder:
        self.parser.add_argument("model", metavar="MODEL", help="a version's id, or a channel's name")
        return self

    def channel(self) -> Adder:
        return self.option("channel")

    def option(self, name: str, **settings: Any) -> Adder:
        """The option of a parameter."""
        add_option(self.parser, REGISTRY[name], **settings)
        return self

    def who(self) -> Adder:
        return self.option("who", default=whoami())

    def reason(self) -> Adder:
        return self.option("why", required=True).who()

    def verify(self, default: bool) -> Adder:
        self.parser.add_argument(
            "--verify",
            action=argparse.BooleanOptionalAction,
            default=default,
            help="read every file and compare its SHA-256; without it only presence and size are checked "
            f"(default: {'--verify' if default else '--no-verify'})",
        )
        return self


def whoami() -> str:
    """user@host of this process."""
    name = f"uid {os.getuid()}" if hasattr(os, "getuid") else "somebody"
    with suppress(OSError, KeyError, ImportError):
        name = getpass.getuser()
    return f"{name}@{socket.gethostname()}"[:WHO_CHARS]
