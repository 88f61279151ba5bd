"""The gate's table for logs, terminal and model card: plain text, at most WIDTH columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from ..registry.verdict import Interval, Verdict
from .checks import checks, share, span
from .pages import prose
from .sentence import verdict_sentence

WIDTH = 118
COLUMNS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
    "coverage": "Coverage",
}
NAME_WIDTH, NUMBER_WIDTH, SPAN_WIDTH = 24, 9, 20


def ranked(metrics: Mapping[str, Mapping[str, float]], k: int) -> list[str]:
    """Models by Recall@K, best first; equal ones by name."""
    return sorted(metrics, key=lambda name: (-metrics[name][f"recall@{k}"], name))


def render_verdict(metrics: Mapping[str, Mapping[str, float]], verdict: Verdict, champion: str | None = None) -> str:
    """Return models by metrics, best first, then the verdict with every threshold.

    Parameters
    ----------
    metrics : model -> "metric@K" -> mean
    champion : the evaluation's note on the champion
    """
    k, level = verdict.top_k, verdict.thresholds.confidence_level
    rule = "-" * WIDTH
    rows = [_row(name, metrics[name], verdict) for name in ranked(metrics, k)]
    about = (
        f"{verdict.n_users:,} users judged. Recall@{k} = held-out items in the user's top {k} / all held-out items "
        f"of the user (who cannot reach 1 with more than {k} of them); mean over users. Minus it: the candidate's "
        f"Recall@{k} minus that one's, with the {level * 100:g} % paired bootstrap interval over users; relative: that "
        "difference over that one's Recall. * the strongest popularity. ** the best recent version."
    )
    notes = [*_wrap(about, ""), *_notes(verdict, champion)]
    return "\n".join([_head(k), rule, *rows, rule, *notes, "", *_decision(verdict)])


def _head(k: int) -> str:
    titles = "".join(f"{title:>{NUMBER_WIDTH}}" for title in COLUMNS.values())
    return f"{f'at K = {k}':<{NAME_WIDTH}}{titles}{'Minus it':>11}{'interval':>{SPAN_WIDTH}}{'relative':>10}".rstrip()


def _row(name: str, means: Mapping[str, float], verdict: Verdict) -> str:
    mark = " *" if name == verdict.baseline else " **" if name == verdict.reference else ""
    k, interval = verdict.top_k, verdict.intervals.get(name)
    values = "".join(f"{means[f'{metric}@{k}']:>{NUMBER_WIDTH}.4f}" for metric in COLUMNS)
    difference = _difference(interval, means[f"recall@{k}"]) if interval else ""
    return f"{name + mark:<{NAME_WIDTH}}{values}{difference}"


def _difference(interval: Interval, recall: float) -> str:
    relative = share(interval.mean / recall) if recall else "-"
    return f"{interval.mean:>+11.4f}{span(interval):>{SPAN_WIDTH}}{relative:>10}"


def _notes(verdict: Verdict, champion: str | None) -> list[str]:
    """The versions of the channel, and those that were not compared."""
    rows = [f"champion: {champion}"] if champion else []
    rows += [f"{row.name}: {row.note}" for row in verdict.versions if row.name != "champion"]
    rows += [f"not compared: {name}: {why}" for name, why in verdict.not_compared.items()]
    return [line for row in rows for line in _wrap(row, "  ")]


def _decision(verdict: Verdict) -> list[str]:
    lines = _wrap(f"Verdict: {verdict_sentence(verdict)}", "         ")
    rows = [(row.outcome, prose(row.name), row.unit, row.found, row.required) for row in checks(verdict)]
    heads = ("", "value", "unit", "found", "threshold")
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(4)]
    for row in [heads, *rows]:
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row[:4], widths, strict=True))
        lines += _wrap(f"  {cells}  {row[4]}", "          ", keep_blanks=True)
    if verdict.forced:
        lines += _wrap(f"Promotion forced: {verdict.forced}", "  ")
    return lines


def _wrap(text: str, indent: str, *, keep_blanks: bool = False) -> list[str]:
    if keep_blanks and len(text) <= WIDTH:
        return [text.rstrip()]
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
