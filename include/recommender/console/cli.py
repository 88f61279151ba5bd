"""The registry's command line: what can be typed, and what becomes of it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import textwrap
from collections.abc import Sequence

from ..errors import RecommenderError
from ..parameters import MAIN_CHANNEL
from ..plain_text import shown_lines
from ..registry.moves import COMMAND
from . import commands, recommending
from .adding import Adder, Typed, examples, shared
from .commands import Answer
from .doctor.command import add_command as add_doctor

HELP_COLUMNS = 100

NOTES = """MODEL is a version's id, or the name of a channel: the version that it points to.
Exit status: 0 done, 1 an error (reported on stderr), 2 not understood.
Credentials: as boto3 finds them (AWS_PROFILE, AWS_ACCESS_KEY_ID and its secret, the machine's role).
"""


def main(argv: Sequence[str] | None = None, typed: Typed | None = None) -> int:
    """Run one command; return the exit status."""
    typed = typed or Typed()
    args = parser(typed).parse_args(argv)
    _log_to_stderr(typed)
    try:
        answer: Answer = args.run(args)
        print(json.dumps(answer.data, indent=1) if args.json else shown_lines(answer.text), flush=True)
    except RecommenderError as error:
        print(shown_lines(typed.in_text(str(error))), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has enough (`list | head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return answer.status


class _Printable(logging.Formatter):
    """Warnings may hold text from the store."""

    def __init__(self, typed: Typed) -> None:
        super().__init__("%(levelname)s: %(message)s")
        self.typed = typed

    def format(self, record: logging.LogRecord) -> str:
        return shown_lines(self.typed.in_text(super().format(record)))


def _log_to_stderr(typed: Typed) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable(typed))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def parser(typed: Typed | None = None) -> argparse.ArgumentParser:
    """All that can be typed. The global options are understood before and after the command."""
    typed = typed or Typed()
    top = argparse.ArgumentParser(
        COMMAND,
        description="Model versions and the channels that point to them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared(os.environ.get("RECOMMENDER_ROOT"), None, False)],
    )
    add = Adder(top.add_subparsers(title="commands", required=True, metavar="COMMAND"), typed)
    _add_reading(add)
    recommending.add_commands(add)
    _add_moving(add)
    _add_retire(add)
    add_doctor(add)
    top.epilog = examples(typed, [*add.examples.values(), "COMMAND --help"]) + "\n\n" + NOTES
    if typed != Typed():
        for words, each in {"": top, **add.parsers}.items():
            _type_as(each, typed, words)
    return top


def _add_reading(add: Adder) -> None:
    text = "all versions, the newest first by creation, and which channels point to them"
    add("list", commands.list_versions, text, "list")
    text = "one version: data, verdict, metrics, configuration, moves"
    add("show", commands.show, text, "show production").model()
    compare = add("compare", commands.compare_versions, "two versions side by side", "compare MODEL production").parser
    compare.add_argument("a", metavar="A")
    compare.add_argument("b", metavar="B")
    text = "all moves of a channel, newest first: when, who, from, to and why"
    add("history", commands.history, text, "history --limit 5").channel().option("limit", metavar="N")
    add("verify", commands.verify, "download a version and check every file", "verify production").model()
    add("card", commands.card, "a version's model card", "card production").model()


def _add_moving(add: Adder) -> None:
    text = "point a channel to a version, once every file of it is there"
    example = 'promote 20180827-0f9c1a2b3c4d --why "approved by the shop team"'
    promote = add("promote", commands.promote, text, example).model().channel().reason().verify(False).parser
    promote.add_argument("--allow-older", action="store_true", help="even if it knows less than the one that is live")
    promote.add_argument(
        "--create",
        action="store_true",
        help=f"create the channel where it does not exist (not needed for {MAIN_CHANNEL})",
    )
    text = "point a channel to the version before, once every file of that was read and found whole"
    example = 'rollback --why "recommends one item to everybody since Tuesday"'
    rollback = add("rollback", commands.rollback, text, example).channel().reason().verify(True).parser
    rollback.add_argument("--to", metavar="MODEL", help="not to the one before, but to this one further back")


def _add_retire(add: Adder) -> None:
    text = "delete old versions that nothing names, and what killed uploads left behind; without --yes only show them"
    retire = add("retire", commands.retire_versions, text, "retire --keep-newest 20", "retire --yes").who()
    retire.option("keep_newest", metavar="N").option("keep_moves", metavar="N")
    either = retire.parser.add_mutually_exclusive_group()
    either.add_argument("--dry-run", action="store_true", help="show what would go (the default)")
    either.add_argument("--yes", action="store_true", help="delete it")


def _type_as(parser: argparse.ArgumentParser, typed: Typed, words: str) -> None:
    """The usage line as a person types it here."""
    label, parser.prog = typed(words or "COMMAND"), words
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    wrapped = textwrap.fill(typed(usage), HELP_COLUMNS, subsequent_indent=" " * 7, break_on_hyphens=False)
    parser.usage, parser.prog = wrapped.replace("%", "%%"), label
