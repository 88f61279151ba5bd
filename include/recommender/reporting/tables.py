"""The gate's table, as it stands in logs, terminal and model card: plain text, at most WIDTH columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from .checks import checks, span
from .pages import percent

WIDTH = 118
COLUMNS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
    "coverage": "Coverage",
}
NAME_WIDTH = 24


def ranked(judged: Mapping[str, Any], k: int) -> list[str]:
    """Contestants by Recall@K, best first; equal ones by name."""
    return sorted(judged, key=lambda name: (-judged[name]["means"][f"recall@{k}"], name))


def render_verdict(judged: Mapping[str, Any], verdict: Mapping[str, Any], champion: str | None = None) -> str:
    """Contestants by metrics, best first, then the verdict with every threshold that decided.

    Parameters
    ----------
    champion : what the evaluation noted on the champion
    """
    k, level = verdict["top_k"], verdict["thresholds"]["confidence_level"]
    head = f"{f'at K = {k}':<{NAME_WIDTH}}" + "".join(f"{title:>10}" for title in COLUMNS.values())
    head += f"   candidate minus it, {level * 100:g} %"
    rule = "-" * WIDTH
    rows = [_row(name, judged[name]["means"], verdict) for name in ranked(judged, k)]
    about = (
        f"{verdict['n_users']:,} users judged. Recall@{k} = held-out items in the user's top {k} / all held-out items "
        f"of the user (who cannot reach 1 with more than {k} of them); mean over users. "
        "Parentheses: paired bootstrap over users. * = the strongest popularity, which is the opponent."
    )
    return "\n".join([head, rule, *rows, rule, *_wrap(about, ""), "", *_decision(verdict, champion)])


def _row(name: str, means: Mapping[str, float], verdict: Mapping[str, Any]) -> str:
    title = f"{name} *" if name == verdict["opponent"] else name
    k = verdict["top_k"]
    values = "".join(f"{means[f'{metric}@{k}']:>10.4f}" for metric in COLUMNS)
    interval = verdict["intervals"].get(name)
    difference = f"   {interval['mean']:+.4f}  {span(interval)}" if interval else ""
    return f"{title:<{NAME_WIDTH}}{values}{difference}"


def _decision(verdict: Mapping[str, Any], champion: str | None) -> list[str]:
    lines = _wrap(f"Verdict: {verdict['decision']}: {percent('; '.join(verdict['reasons']))}", "         ")
    for check in checks(verdict, champion):
        lines += _wrap(f"  {check.outcome:<7} {check.name:<29} {check.found}; asked: {check.asked}", "          ")
    if verdict["forced"]:
        lines += _wrap(f"Promotion forced: {verdict['forced']}", "  ")
    return lines


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
