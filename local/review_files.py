"""The user's review files, looked at before anything is started: damage and foreign formats, in the task's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.recommender.config import ParseConfig
from include.recommender.data.formats import likeness
from include.recommender.data.funnel import LAYOUT, Funnel
from include.recommender.data.lines import read_blocks
from include.recommender.data.reviews import parse_block
from include.recommender.errors import DataError

from .home import say


def check_reviews(files: Sequence[Path], config: ParseConfig) -> None:
    """Read all files to their ends, as only that proves gzip data whole, and parse each up to its first review.

    Raises
    ------
    DataError
        A file is truncated, corrupt, of another format, or holds lines and no usable one; or all are empty.
    """
    size = sum(path.stat().st_size for path in files)
    say(f"Reading {len(files)} file(s), {size / 1e6:,.1f} MB, to see that they are whole and reviews ...", "reviews")
    whole = Funnel()
    for path in files:
        funnel, head = Funnel(), b""
        for block in read_blocks(path, max_line_bytes=config.max_line_bytes, max_expansion=config.max_expansion):
            head = head or block.data[:4096]
            if not funnel.n_reviews:
                for parsed in parse_block(block):
                    funnel.add_lines(parsed)
        if funnel.n_filled and not funnel.n_reviews:
            raise DataError(f"{path.name}: not one usable review ({funnel.commonest}). {likeness(head)} {LAYOUT}")
        whole.add(funnel)
    if not whole.n_reviews:
        raise DataError(f"{', '.join(path.name for path in files)}: not one usable review (no lines at all). {LAYOUT}")
