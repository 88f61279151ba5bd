"""The data-quality gate: the snapshot before, from the profile that its run left, against this one."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..config import QualityConfig
from ..data.quality import Check, compare, warnings
from ..errors import DataError
from ..storage.artifacts import Artifact
from ..storage.documents import checked, parse_json
from .counts import Day, Parsed
from .workspace import Workspace

log = logging.getLogger(__name__)

FOLDER = "artifacts/profiles"
DAY_FILE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.json", re.ASCII)
REMEDY = "Delete it: the next older profile is then compared with, and a later run of that snapshot writes it again."


def check_snapshot(
    workspace: Workspace,
    snapshot: str,
    parsed: Artifact,
    config: QualityConfig,
    compared: Callable[[list[Check]], None] = lambda _: None,
) -> list[Check]:
    """Compare a snapshot with the newest one before it that passed, and keep its profile when it passes.

    Parameters
    ----------
    compared : receives all checks before a failed one raises, so that a report can show them

    Raises
    ------
    DataError
        Something collapsed; the message holds the numbers.
    """
    before = _newest_before(workspace, snapshot)
    checks = compare(before["counts"], parsed.counts, config) if before else []
    if before:
        log.info("Compared with snapshot %s", before["snapshot"])
    else:
        log.info("No earlier snapshot has been processed yet: nothing to compare with")
    for check in checks:
        log.info("%s", check)
    for text in warnings(before["counts"] if before else None, parsed.counts):
        log.warning("%s", text)
    compared(checks)
    failed = [check for check in checks if not check.passed]
    if failed and config.check_quality:
        raise DataError(
            f"Snapshot {snapshot} collapsed against {before['snapshot'] if before else None}: "
            f"{'; '.join(map(str, failed))}. Look at the snapshot: a file may be missing or cut. If this is as it "
            "should be, run again with check_quality off, or with wider limits; the next snapshots are then compared "
            "with this one."
        )
    body = {"snapshot": snapshot, "parsed": parsed.uri, "counts": parsed.counts}
    workspace.root.write(f"{FOLDER}/{snapshot}.json", json.dumps(body, indent=1, sort_keys=True).encode())
    return checks


def _newest_before(workspace: Workspace, snapshot: str) -> dict[str, Any] | None:
    keys = [row.key.removeprefix(f"{FOLDER}/") for row in workspace.root.walk(f"{FOLDER}/")]
    days = [key.removesuffix(".json") for key in keys if DAY_FILE.fullmatch(key)]
    newest = max((day for day in days if day < snapshot), default=None)
    return _profile(workspace, newest) if newest else None


class Profile(msgspec.Struct, forbid_unknown_fields=True):
    """What a run leaves of a snapshot that passed: its date, the URI of its parse, and the counts of that."""

    snapshot: Day
    parsed: str
    counts: dict[str, Any]


def _profile(workspace: Workspace, snapshot: str) -> dict[str, Any]:
    """A snapshot's profile. Raises DataError naming each field that is wrong."""
    key = f"{FOLDER}/{snapshot}.json"
    where = workspace.root.uri(key)
    body: dict[str, Any] = parse_json(workspace.root.read(key), where, REMEDY)
    found = checked(body, Profile, where, "a profile", REMEDY)
    checked(found.counts, Parsed, where, "a profile: its counts", REMEDY, unknown=True)
    if found.snapshot != snapshot:
        raise DataError(f"{where}: not a profile (snapshot is {found.snapshot}). {REMEDY}")
    return body
