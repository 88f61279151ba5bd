"""Commands that print recommendations: for a user or items just seen, items like another, and what is in demand."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..errors import ConfigError
from ..parameters import MAIN_CHANNEL
from ..parameters.of_batch import NEW_ITEM_DAYS
from ..registry.registry import Registry
from ..serving import Event, Filters, List, Recommender, Request, Source
from ..serving.history import stored_events
from ..serving.recommender import Reason
from ..storage.cache import cache_of
from . import text
from .adding import Adder
from .commands import Answer

SHOWN_HISTORY, SHOWN_REASONS = 10, 3
FROM = {
    Source.KNOWN_USER: "from the stored history",
    Source.FOLD_IN: "from the items given",
    Source.PRIOR: "nothing is known of this user, so these are the items in demand",
}


def recommend(registry: Registry, args: argparse.Namespace) -> Answer:
    """A list for a user, for items just seen, or for both together."""
    if args.user is None and not args.items:
        raise ConfigError("Name a user, or items that were just seen: recommend USER, recommend --items A,B")
    recommender = _recommender(registry, args)
    request = Request(
        user=args.user,
        events=tuple(Event(item) for item in args.items),
        k=args.k,
        exclude=frozenset(args.exclude),
        allow=frozenset(args.allow) if args.allow is not None else None,
        variety=args.variety,
        new_share=args.new_share,
        new_item_days=args.new_item_days,
    )
    (found,) = recommender.recommend([request])
    history = [event.item for event in stored_events(recommender.version, args.user)] if args.user else []
    reasons = {row.item: recommender.why(request, row.item).reasons for row in found.items} if args.why else {}
    because = {item: [asdict(reason) for reason in parts] for item, parts in reasons.items()}
    data: dict[str, object] = {
        **_data(found),
        "user": args.user,
        "history": history,
        **({"why": because} if args.why else {}),
    }
    lines = [_head(found, FROM[found.source])]
    if history:
        more = f" and {len(history) - SHOWN_HISTORY:,} more" if len(history) > SHOWN_HISTORY else ""
        lines.append(f"history, newest first: {', '.join(history[:SHOWN_HISTORY])}{more}")
    if found.unknown_items:
        lines.append(f"not known to this version: {', '.join(found.unknown_items)}")
    table: dict[str, list[Any]] = {
        "": list(range(1, len(found.items) + 1)),
        "ITEM": [row.item for row in found.items],
        "SCORE": [row.score for row in found.items],
    }
    if args.new_share:
        version = recommender.version
        of_version = version.new_items(args.new_item_days).flags
        new = of_version[version.items.rows(table["ITEM"])].tolist()
        known = f"{version.manifest.known_until:%Y-%m-%d}, up to which this version knows reviews"
        lines.append(
            f"new: {sum(new)} of these; {of_version.sum():,} of all items were first seen in the {args.new_item_days} "
            f"days before {known}"
        )
        table["NEW"] = ["new" if each else "" for each in new]
        data["items"] = [{**row, "new": each} for row, each in zip(_items(found), new, strict=True)]
    if args.why:
        table["WHY"] = [_because(reasons[row.item], row.score) for row in found.items]
    rows = list(zip(*table.values(), strict=True))
    return Answer(data, "\n".join([*lines, text.table(tuple(table), rows, right=(0, 2))]))


def similar(registry: Registry, args: argparse.Namespace) -> Answer:
    """Items like another."""
    found = _recommender(registry, args).similar(args.item, Filters(k=args.k))
    return _answer(found, f"most similar to {args.item}", "COSINE")


def trending(registry: Registry, args: argparse.Namespace) -> Answer:
    """What is in demand."""
    return _answer(_recommender(registry, args).trending(Filters(k=args.k)), "in demand, whoever asks", "SCORE")


def _recommender(registry: Registry, args: argparse.Namespace) -> Recommender:
    return Recommender.load(registry, args.model, cache=cache_of(os.environ))


def _answer(found: List, what: str, score: str) -> Answer:
    rows = [(number, row.item, row.score) for number, row in enumerate(found.items, 1)]
    return Answer(_data(found), f"{_head(found, what)}\n{text.table(('', 'ITEM', score), rows, right=(0, 2))}")


def _head(found: List, what: str) -> str:
    return f"{len(found.items)} items of {found.model_id}, as of {found.as_of:%Y-%m-%d %H:%M}: {what}"


def _because(parts: Sequence[Reason], score: float) -> str:
    """The items that speak most for another, with their shares of its score, or their parts of one not above 0."""
    named = [row for row in parts[:SHOWN_REASONS] if row.part > 0]
    return ", ".join(
        f"{row.item} {row.part / score:.0%}" if score > 0 else f"{row.item} {row.part:+.4f}" for row in named
    )


def _data(found: List) -> dict[str, object]:
    return {
        "model_id": found.model_id,
        "as_of": found.as_of.isoformat(),
        "source": found.source.value,
        "unknown_items": list(found.unknown_items),
        "items": _items(found),
    }


def _items(found: List) -> list[dict[str, object]]:
    return [{"rank": number, **asdict(row)} for number, row in enumerate(found.items, 1)]


def add_commands(add: Adder) -> None:
    """The commands of this module."""
    about = "the best items for a user, for items just seen, or for both together"
    parser = add("recommend", recommend, about, "recommend USER --why", "recommend --items A,B --k 20").parser
    parser.add_argument(
        "user", metavar="USER", nargs="?", help="an id of the reviews; an unknown one gets what is in demand"
    )
    _add_ids(parser, "items", "just seen: they count as fresh interactions", [])
    _add_ids(parser, "exclude", "left out", [])
    _add_ids(parser, "allow", "nothing else is recommended", None)
    about = "avoid items like those before (default: %(default)g)"
    parser.add_argument("--variety", type=float, default=0.0, metavar="0..1", help=about)
    about = "share of the list that new items have at least (default: %(default)g)"
    parser.add_argument("--new-share", type=float, default=0.0, metavar="0..1", help=about)
    about = "an item is new for so many days after its first interaction (default: %(default)s)"
    parser.add_argument("--new-item-days", type=int, default=NEW_ITEM_DAYS, metavar="N", help=about)
    parser.add_argument("--why", action="store_true", help="name the items of the history that speak for each item")
    _add_version(parser)
    parser = add("similar", similar, "the items most similar to another", "similar ITEM").parser
    parser.add_argument("item", metavar="ITEM")
    _add_version(parser)
    _add_version(add("trending", trending, "what is in demand now, whoever asks", "trending --k 20").parser)


def _add_version(parser: argparse.ArgumentParser) -> None:
    about = "a version's id, or a channel (default: %(default)s)"
    parser.add_argument("--model", metavar="MODEL", default=MAIN_CHANNEL, help=about)
    parser.add_argument("--k", type=int, default=10, metavar="N", help="items of the list (default: %(default)s)")


def _add_ids(parser: argparse.ArgumentParser, name: str, text: str, default: list[str] | None) -> None:
    parser.add_argument(f"--{name}", metavar="A,B,...", type=_ids, default=default, help=text)


def _ids(text: str) -> list[str]:
    return [each for each in text.split(",") if each]
