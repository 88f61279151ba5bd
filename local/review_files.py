"""The user's review files, looked at before anything is started: damage and foreign formats, in the task's words."""

from __future__ import annotations

from collections.abc import Sequence

from include.recommender.config import ParseConfig
from include.recommender.data.decoding import parse_block
from include.recommender.data.formats import HEAD_BYTES
from include.recommender.data.funnel import LAYOUT, Funnel
from include.recommender.data.lines import read_blocks
from include.recommender.errors import DataError
from include.recommender.plain_text import shown

from .given import Given
from .home import say


def check_reviews(files: Sequence[Given], config: ParseConfig) -> None:
    """Read all files to their ends, as only that proves gzip data whole, and parse each up to its first review.

    Raises
    ------
    DataError
        A file is truncated, corrupt, of another format, or holds lines and no usable one; or all are empty.
    """
    size = sum(file.path.stat().st_size for file in files)
    say(f"Reading {len(files)} file(s), {size / 1e6:,.1f} MB, to see that they are whole and reviews ...", "reviews")
    whole = Funnel()
    for file in files:
        whole.add(_check(file, config))
    if not whole.n_reviews:
        names = ", ".join(shown(file.name) for file in files)
        raise DataError(f"{names}: not one usable review (no lines at all). {LAYOUT}")
    say(
        f"Read {len(files)} of {len(files)} given: all are whole, and hold reviews. The run counts their lines",
        "reviews",
    )


def _check(file: Given, config: ParseConfig) -> Funnel:
    funnel, head = Funnel(), b""
    blocks = read_blocks(
        file.path, max_line_bytes=config.max_line_bytes, max_expansion=config.max_expansion, name=file.name
    )
    for block in blocks:
        head = head or bytes(block.data[:HEAD_BYTES])
        if not funnel.n_reviews:
            funnel.add_lines(parse_block(block))
    if not funnel.n_filled:
        say(f"{shown(file.name)} is empty: it holds no line that is not blank", "reviews")
    funnel.check_file(shown(file.name), head)
    return funnel
