"""When runs of `recommender_retrain` start: RECOMMENDER_SCHEDULE and RECOMMENDER_SCHEDULE_TIMEZONE. Light to import.

`python -m include.orchestration.schedule` prints what Airflow will plan with the settings of the environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from airflow.sdk import Asset, AssetAlias, CronTriggerTimetable

from include.recommender.errors import ConfigError
from include.recommender.parameters import MAIN_CHANNEL

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
SNAPSHOT_LANDED = Asset("recommender_snapshot")
RECOMMENDATIONS = Asset("recommender_recommendations")  # a batch of lists is there
CHANNELS = AssetAlias("recommender_channels")  # of the assets recommender_production, recommender_staging, ...
SCHEDULE, TIMEZONE = "RECOMMENDER_SCHEDULE", "RECOMMENDER_SCHEDULE_TIMEZONE"
MAIN_CHANNEL_MOVED = Asset(f"recommender_{MAIN_CHANNEL}")
FIELDS = "minute, hour, day of month, month, day of week"
SHOWN_TICKS = 5

Schedule = CronTriggerTimetable | list[Asset] | None


def read_schedule(environment: Mapping[str, str]) -> Schedule:
    """Return the value for `dag(schedule=...)`.

    The timetable is named, since `[scheduler] create_cron_data_intervals` would change what a bare expression means.

    Raises
    ------
    ConfigError
        Every variable that is wrong.
    """
    text = environment.get(SCHEDULE, "").strip() or "@weekly"
    zone = environment.get(TIMEZONE, "").strip() or "UTC"
    problems = [] if is_zone(zone) else [_no_zone(zone)]
    objection = None if text in {"none", "asset"} else cron_objection(PRESETS.get(text, text))
    if objection:
        problems.append(f"{SCHEDULE}={text!r}: {objection}; {_expected()}")
    if problems:
        raise ConfigError(problems)
    if text == "none":
        return None
    return [SNAPSHOT_LANDED] if text == "asset" else CronTriggerTimetable(PRESETS.get(text, text), timezone=zone)


def is_zone(name: str) -> bool:
    """Whether a time zone is in the IANA database of this machine."""
    return name == "UTC" or name in available_timezones()


def cron_objection(expression: str) -> str | None:
    """Return why Airflow would misread a cron expression; None if it will not.

    Airflow gives the expression to croniter, which takes more than cron: six and seven fields (seconds), `?`, and
    random (R) and hashed (H) times. It also finds out only in the scheduler that an expression never matches.
    """
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]

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
        f"{', '.join(PRESETS)}, 'asset' (when the asset {SNAPSHOT_LANDED.name} is updated) or 'none'"
    )


def _no_zone(name: str) -> str:
    return f"{TIMEZONE}={name!r}: not in the time zone database; expected a name such as Europe/Berlin or UTC"


def planned(timetable: CronTriggerTimetable, after: datetime) -> Iterator[datetime]:
    """The instants at which Airflow itself will start runs, by the timetable of its scheduler; UTC, without end."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction
    from pendulum import instance

    core = coerce_to_core_timetable(timetable)
    last = DataInterval.exact(instance(after))
    restriction = TimeRestriction(earliest=None, latest=None, catchup=True)
    while (info := core.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)) is not None:
        yield datetime.fromtimestamp(info.run_after.timestamp(), UTC)
        last = DataInterval.exact(info.run_after)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Print the next runs. Returns the exit status."""
    try:
        schedule = read_schedule(environment)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not isinstance(schedule, CronTriggerTimetable):
        print("only when triggered" if schedule is None else f"when the asset {SNAPSHOT_LANDED.name} is updated")
        return 0
    print(f"{schedule.expression} in {schedule.timezone}; the next {SHOWN_TICKS}, and the run's date (UTC):")
    for tick, _ in zip(planned(schedule, datetime.now(UTC)), range(SHOWN_TICKS), strict=False):
        print(f"  {tick.astimezone(ZoneInfo(str(schedule.timezone))):%a %Y-%m-%d %H:%M %Z}   {tick:%Y-%m-%d %H:%M}Z")
    return 0


if __name__ == "__main__":
    sys.exit(main())
