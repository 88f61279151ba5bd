"""The data-quality gate: the snapshot before, from the profile that its run left, against this one."""

from __future__ import annotations

import json
import logging
from typing import Any

from ..config import QualityConfig
from ..data.quality import Check, compare, warnings
from ..errors import DataError
from ..storage.artifacts import Artifact
from .workspace import Workspace

log = logging.getLogger(__name__)

FOLDER = "artifacts/profiles"


def check_snapshot(workspace: Workspace, snapshot: str, parsed: Artifact, config: QualityConfig) -> list[Check]:
    """Compare a snapshot with the newest one before it that passed, and keep its profile when it passes.

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
    names = [row.key for row in workspace.root.walk(f"{FOLDER}/") if row.key < f"{FOLDER}/{snapshot}.json"]
    return json.loads(workspace.root.read(max(names))) if names else None
