"""When runs of `recommender_retrain` start: RECOMMENDER_SCHEDULE and RECOMMENDER_SCHEDULE_TIMEZONE. Light to import.

`python -m include.orchestration.schedule` prints what Airflow will plan with the settings of the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from airflow.sdk import Asset, AssetAlias, CronTriggerTimetable

from include.recommender.errors import ConfigError
from include.recommender.parameters import MAIN_CHANNEL
from include.recommender.runs.cron import PRESETS, SNAPSHOT_ASSET, read_cron

SNAPSHOT_LANDED = Asset(SNAPSHOT_ASSET)
RECOMMENDATIONS = Asset("recommender_recommendations")  # a batch of lists is there
CHANNELS = AssetAlias("recommender_channels")  # of the assets recommender_production, recommender_staging, ...
MAIN_CHANNEL_MOVED = Asset(f"recommender_{MAIN_CHANNEL}")
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
    text, zone = read_cron(environment)
    if text == "none":
        return None
    return [SNAPSHOT_LANDED] if text == "asset" else CronTriggerTimetable(PRESETS.get(text, text), timezone=zone)


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
