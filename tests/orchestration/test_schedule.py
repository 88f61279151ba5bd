"""What a schedule from the environment makes Airflow plan, by the timetable of its own scheduler."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import CronTriggerTimetable
from hypothesis import given, settings
from hypothesis import strategies as st

from include.orchestration import schedule
from include.orchestration.schedule import SNAPSHOT_LANDED, planned, read_schedule
from include.recommender.errors import ConfigError
from include.recommender.runs.cron import PRESETS, cron_objection

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ticks(text, n, zone="UTC", after=NEW_YEAR):
    about = {"RECOMMENDER_SCHEDULE": text, "RECOMMENDER_SCHEDULE_TIMEZONE": zone}
    return list(islice(planned(read_schedule(about), after), n))


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("", "01-04 00:00", "01-11 00:00"),
        (" @daily ", "01-02 00:00", "01-03 00:00"),
        ("@monthly", "02-01 00:00", "03-01 00:00"),
        ("@quarterly", "04-01 00:00", "07-01 00:00"),
        ("@hourly", "01-01 01:00", "01-01 02:00"),
        ("30 6 * * 1", "01-05 06:30", "01-12 06:30"),
        ("30\t6 * * mon-FRI", "01-01 06:30", "01-02 06:30"),
        ("0 6 L * *", "01-31 06:00", "02-28 06:00"),
        ("0 6 * * 5#2", "01-09 06:00", "02-13 06:00"),
        ("0 6 * * L5", "01-30 06:00", "02-27 06:00"),
        ("0 */12 * * *", "01-01 12:00", "01-02 00:00"),
        ("0 22-2/2 1 feb *", "02-01 00:00", "02-01 02:00"),
        ("0 6 * * 7", "01-04 06:00", "01-11 06:00"),
        ("0 6 13 * 5", "01-02 06:00", "01-09 06:00"),
    ],
)
def test_airflow_plans_what_was_written(text, first, second):
    assert [f"{tick:%m-%d %H:%M}" for tick in ticks(text, 2)] == [first, second]


def test_none_and_an_asset_are_no_timetables():
    assert read_schedule({"RECOMMENDER_SCHEDULE": "none"}) is None
    assert read_schedule({"RECOMMENDER_SCHEDULE": "asset"}) == [SNAPSHOT_LANDED]


REFUSED = {
    "0 6 ? * MON *": "6 fields",
    "0 0 6 * * MON": "6 fields",
    "0 0 6 ? * MON 2027": "7 fields",
    "0 6 ? * MON": "write '*' instead",
    "0 6": "2 fields",
    "* * * * *": "several runs an hour",
    "*/10 * * * *": "several runs an hour",
    "* 6 * * 1": "several runs an hour",
    "0-0 6 * * 1": "several runs an hour",  # croniter reads that as every minute
    "0,30 6 * * *": "several runs an hour",
    "0/30 6 * * *": "several runs an hour",
    "R 6 * * *": "hashed and random",
    "0 r(1-4) * * *": "hashed and random",
    "0 1,R * * *": "hashed and random",
    "H H * * *": "hashed and random",
    "0 0 31 2 *": "croniter, which Airflow uses, refuses it",
    "0 0 30 feb *": "croniter, which Airflow uses, refuses it",
    "0 6 31 4,6,9,11 *": "croniter, which Airflow uses, refuses it",
    "61 * * * *": "croniter, which Airflow uses, refuses it",
    "0 24 * * *": "croniter, which Airflow uses, refuses it",
    "0 6 * * 8": "croniter, which Airflow uses, refuses it",
    "0 6 * * 5L": "croniter, which Airflow uses, refuses it",
    "0 6 -1 * *": "croniter, which Airflow uses, refuses it",
    "0 6 */0 * *": "croniter, which Airflow uses, refuses it",
    "on fridays at six o'clock": "croniter, which Airflow uses, refuses it",
    "@once": "no such preset",
    "@continuous": "no such preset",
    "@midnight": "no such preset",
    "@reboot": "no such preset",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_airflow_would_not_do_as_meant_is_refused_with_the_reason(text):
    with pytest.raises(ConfigError) as caught:
        read_schedule({"RECOMMENDER_SCHEDULE": text})
    (problem,) = caught.value.problems
    assert problem.startswith(f"RECOMMENDER_SCHEDULE={text!r}: ")
    assert REFUSED[text] in problem
    assert "expected a cron expression of five fields" in problem


def element(low, high):
    """A part of a field, as text and as the numbers that it means."""
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted).filter(lambda two: two[0] < two[1])
    return st.one_of(
        number.map(lambda n: (str(n), {n})),
        pair.map(lambda two: (f"{two[0]}-{two[1]}", set(range(two[0], two[1] + 1)))),
        st.integers(2, 9).map(lambda step: (f"*/{step}", set(range(low, high + 1, step)))),
    )


def field(low, high):
    """A field, as text and numbers."""
    some = st.lists(element(low, high), min_size=1, max_size=3).map(
        lambda parts: (",".join(text for text, _ in parts), set().union(*(numbers for _, numbers in parts)))
    )
    return st.just(("*", set(range(low, high + 1)))) | some


@settings(max_examples=40, deadline=None)
@given(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
def test_what_is_accepted_is_planned_as_cron_says_and_at_most_once_an_hour(minute, hour, day, month, weekday):
    expression = " ".join(text for text, _ in (minute, hour, day, month, weekday))
    objection = cron_objection(expression)
    if len(minute[1]) > 1:
        assert "several runs an hour" in objection or "refuses it" in objection
    if objection:
        return

    def matches(when: date) -> bool:
        by_day, by_weekday = when.day in day[1], (when.weekday() + 1) % 7 in weekday[1]
        either = "*" not in {day[0], weekday[0]}  # as in cron: of two fields that leave something out, one is enough
        return when.month in month[1] and (by_day or by_weekday if either else by_day and by_weekday)

    found = list(islice(planned(CronTriggerTimetable(expression, timezone="UTC"), NEW_YEAR), 40))
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert min(gaps) >= HOUR
    assert all(tick.minute in minute[1] and tick.hour in hour[1] and tick.month in month[1] for tick in found)
    if not any("/" in text for text, _ in (day, weekday)):
        days = [NEW_YEAR.date() + timedelta(days=n) for n in range((found[-1].date() - NEW_YEAR.date()).days + 1)]
        wanted = [
            datetime(when.year, when.month, when.day, h, m, tzinfo=UTC)
            for when in days
            if matches(when)
            for h in sorted(hour[1])
            for m in minute[1]
        ]
        assert found == [instant for instant in wanted if NEW_YEAR < instant <= found[-1]]


@settings(max_examples=40, deadline=None)
@given(st.text(st.sampled_from("0123456789*/,-?LWHR# @mfri"), max_size=14))
def test_no_text_passes_that_airflow_cannot_plan(text):
    try:
        found = read_schedule({"RECOMMENDER_SCHEDULE": text})
    except ConfigError:
        return
    first = list(islice(planned(found, NEW_YEAR), 3))
    assert len(first) == 3
    assert first == list(islice(planned(found, NEW_YEAR), 3))  # no dice


@pytest.mark.parametrize("change", [datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)])
@pytest.mark.parametrize(("text", "n"), [("30 2 * * *", 4), ("@hourly", 72), ("30 1-4 * * *", 16)])
def test_a_time_zone_keeps_its_wall_clock_over_its_changes(text, n, change):
    """A tick within the hour that is left out in spring comes an hour later by the clock, once."""
    found = ticks(text, n, "Europe/Berlin", change)
    gaps = {later - earlier for earlier, later in pairwise(found)}
    assert min(gaps) >= HOUR
    clock = [tick.astimezone(ZoneInfo("Europe/Berlin")) for tick in found]
    if text == "30 2 * * *":
        left_out = datetime(2026, 3, 29).date()
        assert [(at.hour, at.minute) for at in clock] == [(2 + (at.date() == left_out), 30) for at in clock]
    if text == "@hourly":
        assert gaps == {HOUR}


def test_the_runs_date_stays_a_utc_instant():
    (tick,) = ticks("30 0 * * 1", 1, "Europe/Berlin")
    assert tick == datetime(2026, 1, 4, 23, 30, tzinfo=UTC)


def test_the_command_prints_the_next_runs(capsys):
    assert schedule.main({"RECOMMENDER_SCHEDULE": "0 6 * * 1", "RECOMMENDER_SCHEDULE_TIMEZONE": "Europe/Berlin"}) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert "0 6 * * 1 in Europe/Berlin" in head
    assert len(rows) == schedule.SHOWN_TICKS
    assert all(row.startswith("  Mon ") and " 06:00 CE" in row for row in rows)
    assert schedule.main({"RECOMMENDER_SCHEDULE": "asset"}) == 0
    assert "when the asset recommender_snapshot is updated" in capsys.readouterr().out
    assert schedule.main({"RECOMMENDER_SCHEDULE": "0 6 ? * MON *"}) == 1
    assert "6 fields" in capsys.readouterr().err


def test_the_presets_are_those_of_airflow():
    from airflow.utils.dates import cron_presets

    assert {name: cron_presets[name] for name in PRESETS} == PRESETS
