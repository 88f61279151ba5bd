"""Lists that were asked for before: a version never changes, so a list of it may be given again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from ..serving import List, Request


@dataclass
class CachedLists:
    """The most recently used lists of one version; the least recently used one goes first."""

    size: int
    _lists: OrderedDict[Request, List] = field(default_factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._lists)

    def get(self, request: Request) -> List | None:
        """The list of an equal request."""
        found = self._lists.get(request)
        if found is not None:
            self._lists.move_to_end(request)
        return found

    def put(self, request: Request, answer: List) -> None:
        """Keep a list."""
        if self.size:
            self._lists[request] = answer
            if len(self._lists) > self.size:
                self._lists.popitem(last=False)
