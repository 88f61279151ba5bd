"""Tables of scale runs, in Markdown: one for each size, how everything grows, and a backfill beside single runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .figures import RunFigures, TaskFigures

LEAST_S = 0.5  # shorter tasks are mostly a start
WHOLE = "whole run"
COLUMNS = ("task", "seconds", "CPU s", "held GB", "peak GB", "fit predicted GB", "artifacts MB")


def run_table(run: RunFigures) -> str:
    """The tasks of one run."""
    rows = [
        [
            row.task if row.state == "success" else f"{row.task} ({row.state})",
            f"{row.seconds:.1f}",
            f"{row.cpu_s:.1f}",
            _gb(row.held_bytes),
            _gb(row.peak_bytes),
            _gb(row.predicted_bytes) if row.predicted_bytes else "",
            f"{row.artifact_bytes / 1e6:,.0f}",
        ]
        for row in run.tasks
    ]
    heading = (
        f"{run.reviews:,} reviews ({run.layout}), {run.json_bytes / 1e9:.2f} GB of JSON, {_gb(run.packed_bytes)} GB "
        f"packed, commit {run.commit}: {run.seconds:,.0f} s, of which {run.first_task_s:,.0f} s before the first task, "
        f"{run.task_seconds:,.0f} s in tasks and {run.outside_s:,.0f} s between and after them: "
        f"Airflow outside the stages {run.airflow_s:,.0f} s. "
        f"{_gb(run.disk_bytes)} GB of disk. The local S3 took {_gb(run.store_bytes)} GB of memory, and the machine had "
        f"{_gb(run.available_bytes)} GB left at least."
    )
    return f"{heading}\n\n{_table(COLUMNS, rows)}"


def growth_table(runs: Sequence[RunFigures]) -> str:
    """Seconds and peaks at each size, and the exponents b of seconds ~ reviews^b by least squares of the logarithms.

    Of several runs of one size the last counts.
    """
    last = {run.reviews: run for run in runs}
    sizes = sorted(last)
    names = list(dict.fromkeys(row.task for size in sizes for row in last[size].tasks))
    headings = [
        "task",
        *(f"{_millions(size)} s" for size in sizes),
        "b",
        "b of CPU s",
        *(f"{_millions(size)} GB" for size in sizes),
    ]
    rows = [_grown(name, [_task(last[size], name) for size in sizes], sizes) for name in names]
    seconds = [last[size].seconds for size in sizes]
    cpu = [sum(row.cpu_s for row in last[size].tasks) for size in sizes]
    peaks = [_gb(last[size].peak_bytes) for size in sizes]
    rows.append(
        [WHOLE, *(f"{each:,.0f}" for each in seconds), _exponent(sizes, seconds), _exponent(sizes, cpu), *peaks]
    )
    return _table(headings, rows)


def backfill_table(together: Sequence[RunFigures], alone: Sequence[RunFigures]) -> str:
    """Seconds of each date, in one home and in homes of their own."""
    singles = {run.as_of: run for run in alone}
    rows = [
        [run.as_of, f"{run.seconds:.1f}", f"{singles[run.as_of].seconds:.1f}" if run.as_of in singles else ""]
        for run in together
    ]
    both = [run for run in together if run.as_of in singles]
    mine, theirs = sum(run.seconds for run in both), sum(singles[run.as_of].seconds for run in both)
    rows.append([f"sum of {len(both)}", f"{mine:.1f}", f"{theirs:.1f}"])
    ratio = f"The single runs take {theirs / mine:.2f} times as long." if mine else ""
    return f"{_table(['as_of', 'backfill s', 'single run s'], rows)}\n\n{ratio}"


def _grown(name: str, found: Sequence[TaskFigures | None], sizes: Sequence[int]) -> list[str]:
    def cells(text: Callable[[TaskFigures], str]) -> list[str]:
        return ["" if row is None else text(row) for row in found]

    there = [(size, row) for size, row in zip(sizes, found, strict=True) if row and row.seconds >= LEAST_S]
    long = [size for size, _ in there]
    exponents = [_exponent(long, [row.seconds for _, row in there]), _exponent(long, [row.cpu_s for _, row in there])]
    return [name, *cells(lambda row: f"{row.seconds:,.1f}"), *exponents, *cells(lambda row: _gb(row.peak_bytes))]


def _exponent(sizes: Sequence[int], seconds: Sequence[float]) -> str:
    if len(sizes) < 2 or min(seconds) <= 0:
        return ""
    return f"{np.polyfit(np.log(sizes), np.log(seconds), 1)[0]:.2f}"


def _task(run: RunFigures, name: str) -> TaskFigures | None:
    return next((row for row in run.tasks if row.task == name), None)


def _millions(size: int) -> str:
    return f"{size / 1e6:g} M"


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in headings[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))
