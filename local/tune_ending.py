"""How a search ended, in plain text, from its tuning.json."""

from __future__ import annotations

from pathlib import Path

from include.recommender.registry.verdict import Interval
from include.recommender.tuning.records import SearchOutcome, TrialResult, TuneReport
from include.recommender.tuning.space import values_text

SHOWN = 5


def tune_ending(report: TuneReport, copy: Path) -> str:
    """The best trials, the winner against the defaults, its id, and the command that retrains with it."""
    lines = [""]
    results, choice = report.results, report.choice
    if results:
        names = report.names
        best = sorted(results, key=lambda row: (row.pruned, -row.objective, row.number))[:SHOWN]
        shown = best + [row for row in results if row.number == 0 and row not in best]
        lines += [f"{'trial':<12}{'Recall@' + str(report.top_k):>10}{'coverage':>10}   values"]
        lines += [_row(row, names) for row in shown]
        n_stopped = sum(row.pruned for row in results)
        lines += [f"{len(results)} configurations tried, {n_stopped} of them stopped early", ""]
    error = report.error
    if error and error.error:
        lines.append(f"Error in {error.task}: {error.error.kind}: {error.error.message}")
    if choice and choice.number == 0:
        lines.append("Result:  nothing that was tried is better than the defaults and covers enough: they stay")
    elif choice:
        lines += [
            f"Result:  trial {choice.number} {_word(choice)}",
            f"         on the splits of the search {_interval(choice.searched, report.level)}, which favours it",
            f"         on the newest split         {_interval(choice.confirmed, report.search.confirm_level)}, "
            "which no trial was chosen on",
            *_alone(choice),
            f"         coverage there             {choice.confirmed_covers[0]:.3f}, of the defaults "
            f"{choice.confirmed_covers[1]:.3f}; at least {report.search.min_coverage:g} of that is asked for",
        ]
    better = bool(choice and choice.better)
    if report.tuned:
        lines += [f"Kept as: {report.tuned}{'' if better else ', as a record: newest does not take it'}"]
    if report.tuned and better:
        lines += ['         To retrain with it, after the same variables: make run CONF=\'{"tuned": "newest"}\'']
    return "\n".join([*lines, f"Report:  {copy}"])


def _alone(choice: SearchOutcome) -> list[str]:
    interval = f"{choice.alone_level * 100:g} % ({choice.alone.low:+.4f}, {choice.alone.high:+.4f})"
    return [f"{'':<45}{interval}, which is enough by itself if above 0"]


def _word(choice: SearchOutcome) -> str:
    if choice.too_narrow:
        return "recommends better than the defaults, but covers too little of the catalogue"
    return "is better than the defaults" if choice.better else "is not shown to beat the defaults"


def _row(row: TrialResult, names: list[str]) -> str:
    name = f"{row.number} (defaults)" if row.number == 0 else str(row.number)
    values = values_text({name: row.values[name] for name in names})
    return f"{name:<12}{row.objective:>10.4f}{row.coverage:>10.3f}   {values}"


def _interval(row: Interval, level: float) -> str:
    return f"{row.mean:+.4f}, {level * 100:g} % ({row.low:+.4f}, {row.high:+.4f})"
