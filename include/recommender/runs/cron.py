"""RECOMMENDER_SCHEDULE and RECOMMENDER_SCHEDULE_TIMEZONE: what they may hold, and how long a period is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from ..errors import ConfigError

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
SCHEDULE, TIMEZONE = "RECOMMENDER_SCHEDULE", "RECOMMENDER_SCHEDULE_TIMEZONE"
SNAPSHOT_ASSET = "recommender_snapshot"
UNTIMED = frozenset({"none", "asset"})
FIELDS = "minute, hour, day of month, month, day of week"


def read_cron(environment: Mapping[str, str]) -> tuple[str, str]:
    """The schedule (a cron expression, a preset, `asset` or `none`) and its time zone. Raises ConfigError."""
    text = environment.get(SCHEDULE, "").strip() or "@weekly"
    zone = environment.get(TIMEZONE, "").strip() or "UTC"
    problems = [] if is_zone(zone) else [_no_zone(zone)]
    objection = None if text in UNTIMED else cron_objection(PRESETS.get(text, text))
    if objection:
        problems.append(f"{SCHEDULE}={text!r}: {objection}; {_expected()}")
    if problems:
        raise ConfigError(problems)
    return text, zone


def last_ticks(text: str, zone: str, now: datetime) -> tuple[datetime, datetime] | None:
    """The two newest ticks before an instant, the older one first; None where no clock starts the runs."""
    from croniter import croniter  # type: ignore[import-untyped]

    if text in UNTIMED:
        return None
    ticks = croniter(PRESETS.get(text, text), start_time=now.astimezone(ZoneInfo(zone)))
    newer, older = ticks.get_prev(datetime), ticks.get_prev(datetime)
    return older, newer


def is_tick(text: str, zone: str, instant: datetime) -> bool:
    """Whether a schedule with a clock starts a run at an instant, to the minute."""
    from croniter import croniter

    return bool(croniter.match(PRESETS.get(text, text), instant.astimezone(ZoneInfo(zone))))


def is_zone(name: str) -> bool:
    """Whether a time zone is in the IANA database of this machine."""
    return name == "UTC" or name in available_timezones()


def cron_objection(expression: str) -> str | None:
    """Return why Airflow would misread a cron expression; None if it will not.

    Airflow gives the expression to croniter, which takes more than cron: six and seven fields (seconds), `?`, and
    random (R) and hashed (H) times. It also finds out only in the scheduler that an expression never matches.
    """
    from croniter import CroniterError, croniter

    fields = expression.split()
    if expression.startswith("@"):
        return "there is no such preset"
    if len(fields) != 5:
        return f"{len(fields)} fields, and cron has five ({FIELDS}); leave out seconds and years"
    if "?" in expression:
        return "'?' is not cron; write '*' instead"
    if any(part[:1] in {"H", "R"} for part in re.split(r"[\s,/-]", expression.upper())):
        return "H and R are hashed and random times; write a number"
    try:
        minutes = croniter(expression).expanded[0]
        now = datetime.now(UTC).replace(tzinfo=None)
        for step in ("get_next", "get_prev"):
            getattr(croniter(expression, start_time=now), step)(datetime)
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        return f"croniter, which Airflow uses, refuses it ({error})"
    if len(minutes) != 1 or minutes[0] == "*":
        return "it starts several runs an hour, and a retraining takes longer; name one minute, such as 0"
    return None


def _expected() -> str:
    return (
        f"expected a cron expression of five fields such as '0 6 * * 1' (Mondays, 06:00 in {TIMEZONE}), one of "
        f"{', '.join(PRESETS)}, 'asset' (when the asset {SNAPSHOT_ASSET} is updated) or 'none'"
    )


def _no_zone(name: str) -> str:
    return f"{TIMEZONE}={name!r}: not in the time zone database; expected a name such as Europe/Berlin or UTC"
