"""What a worker keeps on its disk goes away when nobody has used it for a while; it can always be fetched again."""

from __future__ import annotations

import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

KEEP_S = 14 * 86_400


def used(entry: Path) -> None:
    """Mark an entry of the cache as used now."""
    with suppress(OSError):
        os.utime(entry)


def prune(cache: Path, keep_s: float = KEEP_S) -> list[str]:
    """Remove entries (`<kind>/<name>`) that nobody has used for `keep_s` seconds; return them."""
    limit = time.time() - keep_s
    old = [entry for entry in cache.glob("[!.]*/[!.]*") if _used_at(entry) < limit]
    for entry in old:
        shutil.rmtree(entry, ignore_errors=True)
    if old:
        log.info("Removed %d entries of %s, unused for %d days", len(old), cache, keep_s // 86_400)
    return [str(entry.relative_to(cache)) for entry in old]


def _used_at(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return time.time()
