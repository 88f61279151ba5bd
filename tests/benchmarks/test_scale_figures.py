"""Peaks of tasks that share a process, and how figures grow with the size."""

import pytest

from benchmarks.scale import figures
from benchmarks.scale.figures import RunFigures, TaskFigures
from benchmarks.scale.growth import backfill_table, growth_table, run_table
from benchmarks.scale.memory import Reading, cpu_within, peak_within


def reading(at_s, rss, mark, below=0):
    return Reading(at_s=at_s, rss=rss, mark=mark, below=below)


def test_a_mark_of_an_earlier_task_is_not_taken_for_that_of_this_one():
    readings = [reading(1, 50, 900), reading(2, 60, 900), reading(3, 70, 900)]
    assert peak_within(readings, 1.5, 3.5) == (50, 70)


def test_a_mark_that_rises_or_was_lowered_is_exact():
    readings = [reading(1, 50, 900), reading(2, 60, 950)]
    assert peak_within(readings, 1.5, 3.5) == (50, 950)
    readings = [reading(1, 50, 900), reading(2, 60, 60), reading(3, 65, 400), reading(4, 70, 2_000)]
    assert peak_within(readings, 1.5, 3.5) == (50, 400)


def test_processes_below_count():
    readings = [reading(1, 50, 900), reading(2, 60, 900, below=300)]
    assert peak_within(readings, 1.5, 3.5) == (50, 360)


def test_a_task_between_two_readings_has_what_it_began_with():
    assert peak_within([reading(1, 50, 900)], 1.5, 1.51) == (50, 50)


def test_cpu_seconds_are_those_between_begin_and_end():
    readings = [Reading(at_s=at_s, rss=0, mark=0, below=0, cpu_s=2.0 * at_s) for at_s in range(10)]
    assert cpu_within(readings, 2.5, 6.5) == pytest.approx(8)
    assert cpu_within(readings, -1, 3) == pytest.approx(6)


def run_of(reviews, as_of="", commit="abc", **seconds):
    tasks = [
        TaskFigures(task=name, state="success", seconds=each, cpu_s=each**2, held_bytes=0, peak_bytes=reviews * 100)
        for name, each in seconds.items()
    ]
    return RunFigures(
        reviews=reviews,
        layout="2018",
        json_bytes=reviews * 520,
        packed_bytes=reviews * 170,
        commit=commit,
        as_of=as_of,
        seconds=30 + sum(seconds.values()),
        first_task_s=20,
        store_bytes=0,
        available_bytes=0,
        disk_bytes=0,
        tasks=tasks,
    )


def cells(table, name):
    row = next(line for line in table.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_exponent_is_that_of_the_growth():
    runs = [run_of(n * 1_000_000, parse=4.0 * n, rank=2.0 * n**1.5, gate=0.1) for n in (1, 5, 21, 44)]
    table = growth_table(runs)
    assert cells(table, "parse")[5:7] == ["1.00", "2.00"]
    assert cells(table, "rank")[5:7] == ["1.50", "3.00"]
    assert cells(table, "gate")[5] == ""


def test_the_last_run_of_a_size_counts_and_a_missing_task_is_left_out():
    runs = [run_of(1_000_000, parse=9.0), run_of(1_000_000, parse=1.0), run_of(4_000_000, parse=4.0, refit=8.0)]
    table = growth_table(runs)
    assert cells(table, "parse")[1:4] == ["1.0", "4.0", "1.00"]
    assert cells(table, "refit")[1:4] == ["", "8.0", ""]


def test_the_time_of_a_run_is_shared_out():
    run = run_of(1_000_000, parse=4.0, train=6.0)
    assert run.outside_s == pytest.approx(10)
    assert run.airflow_s == pytest.approx(30)
    table = run_table(run)
    assert "20 s before the first task, 10 s in tasks and 10 s between and after them" in table
    assert "Airflow outside the stages 30 s" in table


def test_a_backfill_is_compared_date_by_date():
    together = [run_of(1, as_of=day, parse=seconds) for day, seconds in (("2018-08-02", 70.0), ("2018-09-01", 20.0))]
    # Of several days only those count that ran both ways.
    alone = [run_of(1, as_of="2018-09-01", parse=70.0), run_of(1, as_of="2018-10-01", parse=900.0)]
    table = backfill_table(together, alone)
    assert cells(table, "2018-09-01")[1:] == ["50.0", "100.0"]
    assert cells(table, "sum of 1")[1:] == ["50.0", "100.0"]
    assert "2.00 times" in table


def test_figures_are_kept_line_by_line(tmp_path):
    path, runs = tmp_path / "scale.jsonl", [run_of(1, parse=1.0), run_of(2, parse=2.0)]
    for run in runs:
        figures.add(path, run)
    assert figures.read(path) == runs
