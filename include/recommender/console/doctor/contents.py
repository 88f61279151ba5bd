"""What the store holds: the newest snapshot, and the version that a channel points to."""

from __future__ import annotations

from datetime import date

from ...data.snapshots import Snapshot, resolve
from ...errors import ConfigError, DataError, NotFound
from ...registry.channels import ChannelState
from ...runs.cron import last_ticks, read_cron
from ..text import size
from .examined import Examined
from .findings import DoctorCheck, DoctorFinding, failed, fine, warning


def newest_snapshot(about: Examined) -> Snapshot:
    """The snapshot that a run of now would use. Raises NotFound, DataError."""
    return resolve(about.snapshots, None, about.now)


def size_bytes(snapshot: Snapshot) -> int:
    """Of its review files, as they are stored."""
    return sum(row.size_bytes for row in snapshot.objects)


def snapshots(about: Examined) -> DoctorFinding:
    """Whether there is one, and whether new ones arrive as often as runs start."""
    found = newest_snapshot(about)
    age = (about.now.date() - date.fromisoformat(found.name)).days
    seen = f"{found.name}, {age:,} days old, review files: {len(found.objects)}, {size(size_bytes(found))}"
    try:
        schedule, zone = read_cron(about.environment)
    except ConfigError:
        return fine(seen)
    ticks = last_ticks(schedule, zone, about.now)
    if ticks and date.fromisoformat(found.name) < ticks[0].date():
        return warning(
            f"{about.snapshots.uri(found.name)}/: {seen}",
            f"one dated since {ticks[0].date()}: RECOMMENDER_SCHEDULE={schedule} has started two runs since then",
            f"Upload review files to {about.snapshots.uri('YYYY-MM-DD/')}; until then runs end as unchanged.",
        )
    return fine(seen)


def live(about: Examined) -> ChannelState | None:
    """Where the channel points."""
    return about.registry.channels.read(about.channel)


def channel(about: Examined) -> DoctorFinding:
    """Whether the channel points to a version whose files are all there, with the right sizes."""
    state, where = live(about), about.objects.uri(f"channels/{about.channel}.json")
    if state is None:
        return warning(
            f"{where}: the channel {about.channel} points to no version yet",
            "a version: without one the online API and batches have nothing to answer from",
            "Trigger recommender_retrain; or promote a version: "
            f'python -m include.recommender.console promote MODEL --channel {about.channel} --why "..."',
        )
    try:
        manifest = about.registry.whole(state.model_id)
    except (DataError, NotFound) as error:
        return failed(
            f"{about.channel} points to {state.model_id}: {error}",
            "every file of its manifest, with the size that is written there",
            f'python -m include.recommender.console rollback --channel {about.channel} --why "a file is gone"',
        )
    files = f"{len(manifest.files)} files, {size(manifest.size_bytes)}"
    return fine(f"{about.channel} -> {manifest.model_id}, {files}, knows until {manifest.known_until:%Y-%m-%d %H:%M}")


LAID = "review files under YYYY-MM-DD/ of RECOMMENDER_SNAPSHOTS, whose upload has ended"
UPLOAD = "aws s3 cp reviews.json.gz $RECOMMENDER_ROOT/snapshots/$(date -u +%F)/ (docs/data.md, What a snapshot is)"
SNAPSHOTS = DoctorCheck("contents", "newest snapshot", snapshots, ("snapshots",), LAID, UPLOAD)
POINTER = "a pointer that can be read; docs/registry.md says how to restore one"
CHANNEL = DoctorCheck("contents", "channel", channel, ("channels/", "models/"), POINTER)
