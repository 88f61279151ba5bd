"""The report as one self-contained HTML page, without scripts. The same report gives the same bytes."""

from __future__ import annotations

from markupsafe import Markup

from ..evaluation.gate import CANDIDATE
from ..evaluation.judgement import metrics_of
from ..registry.verdict import Interval
from . import chosen, plots, served, view
from .checks import checks
from .pages import environment, number, title
from .plots import Whisker
from .report import Report
from .tables import ranked
from .trend import trend_name


def render_html(report: Report) -> str:
    """Render the page of a run; sections that are None are left out."""
    verdict = report.verdict
    page = environment().get_template("report.html")
    return page.render(
        report=report,
        view=view,
        served=served,
        choosing=chosen,
        headline=view.headline(report),
        sentences=view.summary_sentences(report),
        shown=view.sections(report),
        not_reached=view.not_reached(report),
        lineage=view.lineage(report),
        no_prior_row=view.without_prior_missing(report),
        checks=checks(verdict) if verdict else [],
        models=_ranked(report),
        baseline=view.baseline_of(report),
        steps=view.funnel_steps(report),
        history=view.by_history(report),
        plots=_plots(report),
        trend=trend_name(report.run.channel) if report.run else None,
    )


def _plots(report: Report) -> dict[str, Markup]:
    """Name -> plot, for the sections that have data."""
    drawn = {
        "differences": _differences(report),
        "recalls": _recalls(report),
        "funnel": _funnel(report),
        "tried": chosen.tried_plot(report),
        "training": _training(report),
        "history": _history(report),
        "shown": served.shown_plot(report),
        "tasks": _tasks(report),
    }
    return {name: plot for name, plot in drawn.items() if plot is not None}


def _ranked(report: Report) -> list[str]:
    return ranked(metrics_of(report.judged), report.top_k or 0) if report.judged else []


def _whisker(name: str, interval: Interval, *, strong: bool) -> Whisker:
    return Whisker(label=title(name), mean=interval.mean, low=interval.low, high=interval.high, strong=strong)


def _differences(report: Report) -> Markup | None:
    verdict = report.verdict
    if not verdict or not report.judged:
        return None
    decisive = {verdict.baseline, verdict.reference, *verdict.rivals}
    rows = [
        _whisker(name, verdict.intervals[name], strong=name in decisive)
        for name in _ranked(report)
        if name in verdict.intervals
    ]
    alt = "Candidate minus each model, with intervals: " + _alt_text(rows, "{:+.4f}")
    unit = f"Recall@{verdict.top_k}, candidate minus this model"
    return plots.whiskers("differences", alt, rows, unit, zero=True, strong=plots.INK)


def _recalls(report: Report) -> Markup | None:
    intervals, unit = report.recall_intervals, f"Recall@{report.top_k}"
    if not report.judged or not intervals:
        return None
    rows = [_whisker(name, intervals[name], strong=name == CANDIDATE) for name in _ranked(report) if name in intervals]
    return plots.whiskers("recalls", f"{unit}: " + _alt_text(rows, "{:.4f}"), rows, unit, zero=False)


def _alt_text(rows: list[Whisker], form: str) -> str:
    return "; ".join(
        f"{row.label} " + "{0} ({0} to {0})".replace("{0}", form).format(row.mean, row.low, row.high) for row in rows
    )


def _funnel(report: Report) -> Markup | None:
    steps = view.funnel_steps(report)
    if not steps:
        return None
    alt = "Data funnel: " + "; ".join(f"{name} {count:,}" for name, count, _ in steps)
    return plots.bars("funnel", alt, [name for name, _, _ in steps], [("", [count for _, count, _ in steps], 0)])


def _training(report: Report) -> Markup | None:
    training = report.training
    if not training or not training.loss:
        return None
    loss = training.loss
    first, last = (number(value, 6) for value in (loss[0], loss[-1]))
    alt = f"Loss over {len(loss)} iterations, from {first} to {last}, and seconds of each iteration"
    return plots.curve("training", alt, loss, training.seconds_per_iteration)


def _history(report: Report) -> Markup | None:
    rows, baseline = view.by_history(report), view.baseline_of(report)
    if not rows or baseline is None:
        return None
    groups = [(CANDIDATE, [row.candidate for row in rows]), (title(baseline), [row.baseline for row in rows])]
    texts = "; ".join(f"{row.label}: {row.candidate:.4f} and {row.baseline:.4f}" for row in rows)
    alt = f"Recall by number of train interactions, candidate and {title(baseline)}: {texts}"
    return plots.grouped("history", alt, [row.label for row in rows], groups)


def _tasks(report: Report) -> Markup | None:
    tasks = report.tasks
    if not tasks:
        return None
    seconds, peaks = [row.seconds for row in tasks], [row.peak_bytes / 1e6 for row in tasks]
    alt = "Seconds and peak memory a task; the table has the figures"
    panels = [("seconds", seconds, 1), ("peak MB", peaks, 0)]
    return plots.bars("tasks", alt, [row.task for row in tasks], panels, width_in=plots.WIDE_IN)
