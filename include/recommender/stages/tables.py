"""The gate's table, as it stands in logs, terminal and model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_verdict(judged: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """Contestants by metrics, best first, then the verdict with its interval."""
    k = verdict["top_k"]
    columns = [f"recall@{k}", f"ndcg@{k}", f"map@{k}", f"mrr@{k}", f"hit_rate@{k}", f"coverage@{k}"]
    level = verdict["thresholds"]["confidence_level"]
    head = f"{'contestant':<20}" + "".join(f"{name:>13}" for name in columns) + f"   candidate minus it, {level:.0%}"
    rows = sorted(judged, key=lambda name: -judged[name]["means"][columns[0]])
    lines = [head, "-" * len(head)]
    for name in rows:
        means = judged[name]["means"]
        interval = verdict["intervals"].get(name)
        span = f"   ({interval['low']:+.4f}, {interval['high']:+.4f})" if interval else ""
        lines.append(f"{name:<20}" + "".join(f"{means[column]:>13.4f}" for column in columns) + span)
    lines += [
        "-" * len(head),
        f"{verdict['n_users']:,} users. Recall@K = hits in the top K / all held-out items of the user.",
        f"Verdict: {verdict['decision']} ({'; '.join(verdict['reasons'])})",
        f"Candidate {verdict['candidate_recall']:.4f}, strongest popularity {verdict['opponent']} "
        f"{verdict['opponent_recall']:.4f}, lift {verdict['relative_lift']:+.1%}",
    ]
    if verdict["forced"]:
        lines.append(f"Promotion forced: {verdict['forced']}")
    return "\n".join(lines)
