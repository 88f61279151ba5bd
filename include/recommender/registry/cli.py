"""The registry's command line: what can be typed, and what becomes of it."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from ..errors import ConfigError, RecommenderError
from ..storage.objects import ObjectStore
from ..storage.redaction import printable
from ..storage.uris import split_uri
from . import commands
from .commands import Answer
from .moves import COMMAND
from .registry import Registry

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
ATTEMPTS = 5
CONNECTIONS = 32

EXAMPLES = f"""examples:
  {COMMAND} list
  {COMMAND} rollback --why "recommends one item to everybody since Tuesday"
  {COMMAND} promote 20180827-0f9c1a2b3c4d --why "approved by the shop team"
  {COMMAND} retire --keep-newest 20            what would go
  {COMMAND} retire --keep-newest 20 --yes      and now it goes

MODEL is a version's id, or the name of a channel: the version that it points to.
Exit status: 0 done, 1 an error (told on stderr), 2 not understood.
Credentials: as boto3 finds them (AWS_PROFILE, AWS_ACCESS_KEY_ID and its secret, the machine's role).
"""

Command = Callable[[Registry, argparse.Namespace], Answer]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        answer: Answer = args.command(connect(args.root, args.endpoint_url), args)
    except RecommenderError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    try:
        print(json.dumps(answer.data, indent=1) if args.json else answer.text, flush=True)
    except BrokenPipeError:
        # Whoever read has enough (`list | head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return answer.status


def connect(root: str | None, endpoint_url: str | None = None) -> Registry:
    """The registry below a root URI, with the credentials that boto3 finds. Raises ConfigError."""
    if not root:
        raise ConfigError("No root: set RECOMMENDER_ROOT, or pass --root s3://bucket/prefix")
    split_uri(root)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=CONNECTIONS,
    )
    try:
        client = boto3.client("s3", endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"Cannot set up the connection to {root}: {printable(error)}") from None
    return Registry(ObjectStore.at(client, root))


def parser() -> argparse.ArgumentParser:
    """All that can be typed. The global options are understood before and after the command."""
    top = argparse.ArgumentParser(
        COMMAND,
        description="Model versions and the channels that point to them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_shared(os.environ.get("RECOMMENDER_ROOT"), None, False)],
    )
    add = _Adder(top.add_subparsers(title="commands", required=True, metavar="COMMAND"))
    add("list", commands.list_versions, "all versions, newest first, and who points to them")
    add("show", commands.show, "one version: data, verdict, metrics, configuration, moves").model()
    compare = add("compare", commands.compare_versions, "two versions side by side").parser
    compare.add_argument("a", metavar="A")
    compare.add_argument("b", metavar="B")
    history = add("history", commands.history, "all moves of a channel, newest first").channel().parser
    history.add_argument("--limit", type=_whole, metavar="N", help="only the N newest")
    promote = add("promote", commands.promote, "point a channel to a version").model().channel().reason().parser
    promote.add_argument("--allow-older", action="store_true", help="even if it knows less than the one that is live")
    rollback = add("rollback", commands.rollback, "point a channel to the version before").channel().reason().parser
    rollback.add_argument("--to", metavar="MODEL", help="not to the one before, but to this one further back")
    _retire(add)
    add("verify", commands.verify, "download a version and check every file").model()
    add("card", commands.card, "a version's model card").model()
    return top


def _shared(root: str | None, endpoint_url: str | None, as_json: bool | str) -> argparse.ArgumentParser:
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


class _Adder:
    """Adds commands, with the arguments that several of them share."""

    def __init__(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        self.commands = commands
        self.shared = _shared(argparse.SUPPRESS, argparse.SUPPRESS, argparse.SUPPRESS)
        self.parser: argparse.ArgumentParser

    def __call__(self, name: str, command: Command, text: str) -> _Adder:
        self.parser = self.commands.add_parser(name, help=text, description=text, parents=[self.shared])
        self.parser.set_defaults(command=command)
        return self

    def model(self) -> _Adder:
        self.parser.add_argument("model", metavar="MODEL", help="a version's id, or a channel's name")
        return self

    def channel(self) -> _Adder:
        self.parser.add_argument("--channel", default="production", type=_channel, help="(default: production)")
        return self

    def who(self) -> _Adder:
        self.parser.add_argument("--who", default=whoami(), help="recorded for good (default: %(default)s)")
        return self

    def reason(self) -> _Adder:
        self.parser.add_argument("--why", required=True, help="recorded for good")
        return self.who()


def _retire(add: _Adder) -> None:
    text = "delete old versions that nothing names, and what killed uploads left behind; without --yes only tell"
    parser = add("retire", commands.retire_versions, text).who().parser
    parser.add_argument("--keep-newest", type=_whole, default=10, metavar="N", help="by as_of (default: 10)")
    parser.add_argument(
        "--keep-moves", type=_whole, default=10, metavar="N", help="what these moves of each channel name (default: 10)"
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--dry-run", action="store_true", help="tell what would go (the default)")
    either.add_argument("--yes", action="store_true", help="delete it")


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0")
    return int(text)


def _channel(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a lower-case letter, then letters, digits, '_' or '-'")
    return text


def whoami() -> str:
    """user@host of this process."""
    name = f"uid {os.getuid()}" if hasattr(os, "getuid") else "somebody"
    with suppress(OSError, KeyError, ImportError):
        name = getpass.getuser()
    return f"{name}@{socket.gethostname()}"
